/**
 * Public keys whose private keys anyone can look up or guess. A signature by one proves nothing, so none may identify
 * an agent.
 *
 * Each is listed by its first six bytes, in base64. The key of the same point with the other sign has the same first
 * bytes and is just as unsafe. A key that someone generated properly begins like a listed one once in 10^11 times.
 */

/** Returns where the key is known from, as half a sentence, or undefined if it is not listed. `key` has 32 bytes. */
export function findPublication(key: Uint8Array): string | undefined {
  known ??= new Map(
    lists.flatMap(([publication, keys]) =>
      keys
        .trim()
        .split(/\s+/)
        .map((start) => [toNumber(Uint8Array.from(atob(start), (byte) => byte.charCodeAt(0))), publication]),
    ),
  );
  return known.get(toNumber(key));
}

let known: ReadonlyMap<number, string> | undefined;

/** Returns the first six bytes as a number. Base64 of every key would take longer than all other checks of it. */
function toNumber(key: Uint8Array): number {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = key;
  return ((a << 16) | (b << 8) | c) * 0x1000000 + ((d << 16) | (e << 8) | f);
}

/** Multiples of the base point from 1 to 16, and those with the other sign. */
const baseMultiples = `
  WGZmZmZm yaP4aq5G 1LT1eEho LxEyymGr 7ch21oMf 9H5J+dB6 uGJAn7XE tLk3/Klb wPEiVYRE LHvoarB0 EzcDasMt +eQtLtyB gB9A6q7h
  OSiciZj9 31wurcRM 6ydnwTer
`;

/**
 * Keys from guessable seeds: one byte 32 times, 31 zeros and another byte, rows of digits and letters, and hashes of
 * common words.
 */
const guessedSeeds = `
  O2onvM62 iojj3XQJ gTl3Dqh9 7UkoxijR ypOsFwUY bnoc3Smw iodf/x6z 6kpsY+Kc E5j2LG0a /RckOFqg Q6cucUQB Zr5+Myx6 C1E62bSS
  kaKKC3Q4 C+71qeZ5 2b8hSHSK XJxt8mHJ 0EqyMnQr IEBA42TB Zs1gi5KL IIKL9cW9 1UIH2hlJ URw0oaLL Md6+VdN8 U0cJYlWK MfMyLUkj
  ZMMIFf8m HioTfH/i tAiM07iW 6NpjpAym rNsOKXQ/ QwRr/kCS TtMvY781 iEuIV/Tq oJql9Hpn dPhc2jTR WJNmBKva vtfSq2aN kQnbVfeX
  7kXsuayg 6S62BU/p +kg0FH9u GX9rI+Fs RQigeqlB lHXGzw7a qHuKmb2I W4ZJwM/N bjLBl0Hw G6QHW3fJ SAdaWX5y XiEsCYDk F8t5+ytB
  6yzxO/eu ptJFXqOl aPS2AX0P LISK2GZO dtgbM7py Lwp7KfU2 A1KKhM81 zxs36F3A VSb3QpQX cN+eInmt +VxqXf8D Pw3agear Z3p02WTk
  25lf4lFp IVL40Zt5 Ivwpd5Lw 11l5O7wT Y1VpHBeK 7pOk9m+N 4oqJcHUz 1O7Bhp+x dyyKRCt9 NTyKf+7K fqDjvVLi knMI9T1n YqYRtHLY
  jkhuj7eU AOPFa5Gr PvCJWQMw wFDFY3pE IBLLkMpg +AzM3OSu n0lDnp2w xoImN8fT iN9VZBNT yEBp+iIW 2sMevKFZ q3Jg8g7a DXVQdU4I
  a3NKjv8k 7WpHo52o XkSa1vpL gUZkDwJJ 73R//5tH SnLkA1u0 rwaj4ykX LfBBJfAB p/bfr484 K8KACzMW 1i8Bah79 NLTZBDFW EqQVksi3
  VLDYHQ+n 4006AbYR dQgmwoGk gyClGXfY bUT5Ofgp iyN9eI6O AU5NkixZ yG0BrYsv GSBMjDuo 4v4qObcy W2SJycf9 /sFChnP2 VV9GnCIY
  LJuaQtV6 tfkAlTGP yFOtDwzS 7jH4PIin R0XRnGbs ukJFjoO6 f3R7Z70/ 94sdqbPf o4bD6cjr Ub+uf6ks sqlC/0yY 5Wh7bRHM k9ufLuD3
  +gE0epke 1238bj1e Pm6nrLpZ EAupC1U8 Zz1rovpI 9erKt3UX skkdlQKu oR2+KNay /RUD8Z9Z Rtybn1aE /L44YyQX jD2oeb0J qz+i/at3
  qO6+DfHX GjgYefio jKYxRZB6 xtDHlrtM Ef1FcU+I DjTARcIj THGz3CdR fb6737Bs 4bcav9Mj e+KbmLoJ My6+jSfL G+50u49R 5RRaN9mE
  I7YxcJ3y QLD0mKFv vNbn/Rpa 68GYuLi/ tTPYrZ/P vHy8tWNj Zej5sLxu rPErSswc oKDCJ9ih KeWDOpFa OKov5Drg yVce60qp vpp+N54Z
  wvONNNr+ 5zTqbCti JIrL26+e +bQ5g0ZE ZKCOZZxO ZQt9ylU8 0fgmhBUD cF+6wB9V RyG1tjIn VRVPQgZe WRLawCDc UrzUxoqK keotuCYA
  gFRA7kgF eyQvl3i7 Rv1IW2Rt JZFFrSZV yn11tOod fVnFYj3U Ag2s+E9E Yj53CxcZ lToT+c6e UqU5SU4+ W5Q3rer/ rNzISU1F tygv5HL5
  1AS8RFZa 3FF/9Sfn LbeXY24y u0fTPXd7 1a8l4gSt l//Ig8gL ujthHiiC RmYn1Sdz woZVSseV ylfu0w5K /JR3MPSe U4QIaMsp bPywcKKx
  5ywo/nGO buCR/SgK Qej94TKt tHQLpOD3 7TI0snbU oRgEM1nn gOoQued9 u3h+WQGs YN5ey4qp jkGQzWj9 2YZ2PXIp OhwowzmS 4ZArpj3J
  aEYOvvOx jUq+B0/v l/cTWpom n/YgTWG1 JfwyxHil yRyzziuE Tdm2SWon maekceCt TmAIsBt0 7VchxBNp ukTf33A7 qroHLKFz CoGZfXZz
  76/EL0sZ eGaud6Fe edJ5zO8s NQ1iYp5K gUci3nHF SL42pJV3 X2cTKUw8 3L5P2vQ8 cAgq6fmI uPydcLMw Pjfo8M7q N5vVt9FJ yQd1GM+k
  PYTTW6PA FmDScyIr 7+c+VWec O4w8HiGu 7mkrQ1bz 3e0U6VKG 5jzJ8b/q yph/emzY dqFZIESm TLWr9q15 zswVB9wd dCK5iHWY a3nFfmoJ
  84FibkHn 2tvRhKLV /VC447FE m+Mod5WQ /eT7oDCt 9L1GUhzn tMkq+zul NHkHZDCO PuKopyg8 ovovSjVb vjtPldHY 1MUGG4HE 3X6E0BCu
  u1xnJIKw UnJQCBvc UTUjyLSD Q6ro673t c4Ckso0L EmK8bVQI LrvD2xI6 OrnMJuLk UpRtGdwg kDXdE8TJ AVdDvpNS Z1QDBDKI 6Nh2TQXm
  uSqqfI2y aRBO8gxm TypZ7cg2 ZuC4WORi alqPukhE Nsb1CFNB 2A37PDik QDaNhmUI AlCEucMq zP/4UvxI X8zABJmD PlXpZDqJ eSoC30kL
  Lrigs2dm 2gCKtNB2 VRkY4OX5 PI/ab2BD 9ZpzbeEO 3qFQgrUd p903SiUU aWuUfMFE J1bUOEEu lZynZIvU uftIDoPX 2xzBVGWR f4+xStkc
  FdBnNPd7 xGubk0gL vd6M9W3k v+NaEsng FyYGInfX oHxBincK wFt77mTI O+UzgisU +mLU3DYJ x0XkaxPi djkpq14l qJs6ZA5e ZuHftmV/
  yTXHa97V AAAfi+pC XZv0wSua dodEzH1e j8A2kPs+ y13A+qd/ dk53yRSG 1+G6MSzq w9A2f87D N3OjcTBe 2NPp1zpS TIYoyAcP +RZFNUe+
  xWH6n2Q/ 4e8v5vIR DoYFSlpR G6ZsZ1FQ 7XNNJh4u +Gi8xQgT c7TLCvI0 7jfYyOnP J4njesTV JkoHB5ee 8W9xibkq Qj9Tph4q DkdmsUsb
  BEi8WKt0 /EAUPoeT 6+gLfK3q tuSPJ/WC UMSlhxrT YLnKYTc4 hGGgb3w8 bJiyBKIl l+uBakmw WYhEjsrj sKrtAHWL AeE+DVW0 VDT3or89
  4DE8NY8y JZdN4mCJ oQaPAobU MVWdeUHD mvNp9+Ao dYS4Pfbp VG9bJflN 44Q05OlY si4ubZsk DsOf06Gm KfkkiuV8 X7BoHTxy fKUMfvM+
  wJXnrHWF cX2cDCyS 9RdLXiOI 193E55Fm cenHvgsP wN0ml8Sh 9TjL3SqA SS9FWBnG OfRjBf2S c3TSnomM zLw9osQm eIjZCVQ8 b35xb00s
  AqvHD07v 5TYCDtAe dwnF8Mg/ tPBa7hcp Uoyp03IV QtodGd/u liJ2qkfH Ttr1J18N brBMRMNU FtPQHLIj 3S1UJjwx Mk6ToHqc ZyPtbHJm
  Z0VQDtpK 5roJfFLv 7AdpJHkS 8Efuo0jp gEsoD4D9 gxpSx2bD ROTNy3Oq D+cyv8SN 4TSCuX0y chDaxOW/ 4C5Q2jQq 2/KgZ8+9 7dnqX7XZ
  oJqP0p8V hbqVj0x5 zr5jbAK9 QQSNEqF8 yJW9G0hD 3dElyw8B Hc4fjxhW siQ1VNHB sERjqnpJ 7PEkmMnl IMiXT2BK n9jbPOJc +LteGDJz
  +D2CxCvt VIRfXpyR Rch+EkOt jQKHC1hU RGCkfSu5 7ydkArAd 6G+REI+R 9HN41ALB yFW5sJpg 1ekG9aQv jlD3X5qy ZiWM7ZFN 8sgu+2P9
  /0t4IaUI UEHmNF3g k/r0UCNH U1cSt8v6 QMKp606d 6t/Gfay+ k74oxVMC YnT69eND IVHtJ+ot hYkrBnbz ZSKhnf9s 1SOEWiSf AcaxKSas
  6Qt9Cn+y 52O6VT2e xCr2r9an J6atrCk1 sl5/oUz7 p0o+Q9DL dtyDgzIP 9KK/cgFj sqBTCgi5 RNloeChu Ul8cAfin a2t2okk4 6bz1YzKi
  6SC/ONEb S6F6J6Hq abrLu4hP aORqQVBe UaJX23Xe nwyU3QU9 NreDyU/3 hQe23NWN X/xPhACq 9VM7mi9Y M/r161qK EsGolkTR Q3JWXiYo
  iQ5PPdo2 QoUSErN2 eksNA+cK Qjcr5zrA obQUjUzJ xF9s2+rv jHE9k5Bz hwzYhXdx V+kxpek7 xQmfqfO6 03UNkUcv QefevzQt YvtI4EXh
  Bo9cxS6/ SOEtUbcK D7b93KXl E07KwGAA trHiW3lQ yDn9BPmE GjpsUVjq mzfttZGZ 5288iOuG r0RnaDVN ChjtMmrU +Tl0S4FG UrY0BGo+
  VZWuv0lx 7YXiH3UV zrW0hUGj vh+5lr6A Kditodxx aY05JwkG nERFl8z5 mzkHYUFM E8QNBglb UzCa5fiw mg7H09vn dZ/kYGrU 2bQ+yWXQ
  v48To70J wyD7L7xe OSCK3Qjb OSjKszeM odB6x4gT CXQmb8B8 YAwpqcgT T+Wav6Jk PCNrkH3E xnhcdCCu Yuf0m0Nd NgDDQSa/ jm3X1J+H
  37ZRt+VA 2QWixdlh VSCKOeGa dXpq6wUQ WAoOsV1L oMH1L2AW 9/cCBDjs lG9ltWrN odF+YyFj HpoZEExR GXX6RuvK dAu/C1Fj Re+kWl3o
  Iyco3rRG 50NoNjwV Jtgq5Prc uzbUNTO8 kLNcq3+C Ah8DC0FI 2rDuoYlJ DiDETmVs u+XdNapX Iyyi37fb rA9kxKI3 Z1tML52r DUpcYJS0
  r1ByPDmB oy92PIxm jy3wO095 k23BRLsQ 7Gt1Q5j8 gpBU+pk+ NSPiW3cT f+M6CAX5 U+aD3hNM 2A6EQEgB Whi4sRB0 a8L++7qD 0MHfxBMV
  MQDY+Z3v arGjDRiV Xdp9gD0g BZHysFw0 pRPjDH9l cILaZtYv ubndOjHV yckEJA/X +C5ULAlC zmLcOKPA LP4lgIGi ++SIk3MI tess9JcG
  nfTYjPCB TZCkH+bU +5YbqaJO 09zHtUht yoqPhex+ ekzVEjvC YzN1Y/2t dPZD/gcB EAwFTsFM cd47TpM6 bPM6XSMK pgu263mQ MRk+P0va
  rETQghZU Z1zPHzA9 zLWUyjxc FQ3fi2tY 3nE79Gu2 1VRUxjkt fPB3D3ym MzsHzDFX HFU2MnHD 4Py1NCkC 7OEpWA87 rHe2GgWI n1bAlURn
  +SPdRpBx clKGzjnh ijenMmAj 9QxZtvwq XGlYm+uD hsT0d6rv h+5gjyt9 Oe1qC7GS xa3zqljJ Jvv1JJj1 brrhm0hZ NcbOHm1G +O7FdHpV
  sYmlC0g+ BwwqOdeV IwWKTFAt NKD1o1th pE6iFHM0 hH8PqozZ cfaZSvZO 8KbGFDvl qQPIfPOJ qXE6NR0L 9D0uVha2 B6H2t8m1 sbEgaHwy
  1q0xWdLP uMbwffDq BVE5sPba v1RLfTrM 8PuRNH6I Q1+4EaYU b9cgLF93 7rGRF406 5AX8z1aN kc4+d+sG YRgPH44k mhxwA3Zr Kgccbcvg
  6bC6MpAI sbqSzsT9 FEB5FNxO iPtWhat+ P5MHXAfG fDVHbNpk dD3qgYNT mXR+X1aR /e1lTGkQ aMsg8uxz rP/i8G1v GvRazESr U3jS/6BX
  UHMO+3YB /11CGFoi LtqvxJuO LO7P5KRa wYFkRchz R7U2vKkZ b3TTxIdJ qGlXtgJm YOOEL+uL GmKA1/uj rwox9LM/ /3B0wnHv 6i/Uht1v
  mpmKVWdH p6A1NwAm UFM67d0r wVIl5ihn Ax5a7QHm 3N2CO6jm nbX9nRsP PL7rBFF3 kEtA6xZx rT6fRW5r KFZcshzD 1CAg/nOm ybB4lZkM
  5Ckm2/XQ AB+T+ohY ozZrcFPU +qUEN9zn g5tazVIS AB51IxJO T/fQ+d82 bkxBEmgB /DKxNCgI MC7S7N+L LTzsQ1J1 XE9k5A5k VIt1ed3X
  WZ2r0MYv XDW+PJO2 inGrmAe7 s8zZEJ8D 3iT47fLD +YmHc20J tHosB1SL ++S2AbJ/ H661gI7H V8ZMmL6/ GUIbFavx Bn6+0lZe q8lja65C
  aSmEZqsY CxqozETL nKcT8ljo d67MDn0L u/ltEUL/ zU1eIgbt wRFL5y// rXZ4V0D+ BbPMw2Zm RVTPo6KP Uwa/TW3f 3BUnfVOU SEFUXKO6
  8yXXdcml MwS5imPN DnfkM5Ks 71W9SNGg HogpyHQ6 Uaf6wtKX 2v66nL7k KGvjIBO9 j6eUSg3g Y03eYUTA BLcLVaNr HfxC12OC pk9LnbzP
  ToEZTnpX dqvtEQVp sSF/nN4g cKlPlpdh sfrXyVCc fJCP4OGT 768ceRH1 1LUtwQgM 6b5Poplu icEdEvYZ ofpUDIw9 s+JZ91Qr 8yyIUbvt
  RmKVp1Uk quGqZvhI jHmunHtl ewrx/deu vIv5VL0S cJoiecxo Sq0y+gpQ s2wEr3xu l9Yr12Ps i4qI0Xak Vpmpzvhw 3KTnjbA3 A6EHv/PO
  ebVWLo/m cSZR9FC6 PD7RRr20 L4xhKdgW e8MHlRjt I7xUkSwe d72O8L9N M9aKJaUR wuzPrKxP dhKYjMIS IHoGeJKC /1dXXcev qnMxh/60
  xguaTEMi XM6q2cIC PM0kHP/J vpB7S6yE 6uHIeTtV C99RAF5a Z9O16vDA 8WXh5ffC XQNqhYzo xNtP0Yxo 0WGYzVUy z3SCb/1I VWy9vGCI
  P7WGvma5 ttT9wux8
`;

/**
 * Keys in RFC 8032 section 7, RFC 8080 section 6, RFC 8410 section 10.3 and RFC 9421 appendix B.1.4. RFC 8037 has the
 * first one, too.
 */
const documents = `
  11qYAYKx PUAXw+hD /FHNjmIY J4EX/BRM 7Bcrk61e 38lCXk+W Dx0SdJQ7 Gb9ECWmE JrQLj5P/ l02Woi0i zPnZ/QwE
`;

/**
 * Keys in the tests of Go, x/crypto, OpenSSH, Paramiko, cryptography of Python, rustls, jose and Wycheproof, and the
 * insecure keys of Monogon and Vagrant.
 */
const softwareTests = `
  C+C1YLXi lXM7sAYq Pt3+4Uu4 jDWBK6s9 Od7j+147 YuqlyExF ZilRxve0 ze1PXGsC xPP9BTO2 M9BeYRUx r2SzuOS5 gGno9VbT GVh8TG1h
  MU/wv1ER 1/repJXy 8tbRnAKR U4bqRjtF z1Ssi55t 6j/TGd5X iWLNIg3c evUr2SiY 3WYM7YAB WnPk9ZaU EvA4OYtM S8T7Rk3E 3k6L3Lzv
  cn3uw/hU uCBt6D15 lBZ9GShv OfEyfMe1 3Vh3EGk2 fU0Of2FT oSwr63cm EA/fR/uU j9ZZt3tV KmBr9nrH yclGy8VU Mq0Cb2k9 wp7BiU4G
  z9pbiZ41 UpkZyceA IlKz1Xx0 wKdzEQ+X VM2mIyRX I2K6xRTV A3tVtCfc nAAHaY8X 7TpvlyHc Sr+1NTE3 TyFi5r8D BxfXXOJ+ 21ueq36E
  e6wY9tJi OOrTBGJK 6byVBJr3 7oFVyk6P 21B7/MlX mU6vAzCd En035Abg 2DuoTt+0 08mqLz1u 1TKANnwc lKwjNrqX 4ecxbSMf //vupxIV
  GczAUnWZ DnJuJwR1 53cXtUor YiCXLT99 e2SijFDs ckRSIQqe utJlspTt Cq7ktyPb gSNErxWp DuXLVZf7 n7od6Stg dYKrG1Lh 3S1ni64i
  zL58suS8
`;

/** Keys in sign.input of ed25519.cr.yp.to, with which most implementations are tested. */
const ed25519Vectors = `
  5hoYW87y wNrBAsRT 4lOvB2aA +8+/pAUF mKXjo25n +B+1SoJf waScZuYX MbJSS4NI RLV+4wzb b+g2k9AR ouuMBQHj zzr4mEZ6 /SpWVyMW
  NOWoUIxH BEXkVtrM dNKRJ/GZ W5bcpJeH HKKBk4Up f65F3QoF SDWbhQ0j /bMGc0Av sdOYAYkg 0MhG+X/i K/MroUK6 lNI9l3wz nQhKqLl6
  Fs7oo/Jj I74yPFYt P2DHVBr6 tJ86eLHG jqB0JFFZ r2txRUdN +FuA4FCh AXNwyHkJ 8wFiusmE NK0PvbJW lOXrTVAk F3LFq8LS KZ69HxMX
  2naLIMQ3 Z5HYzlCk 7PtqK9Qv WI3a3Lzt q6Pnlaqy cuQJk34G kNLvu6TU /XEdx907 LFD4cO5I 6yvK39Pu XjwZ8kFa nvJ2CJYa ZamcPhb+
  f8iLH3s/ V6BMelET o/UnocHx D37aCRSZ DssmAdX3 eI3lQFRN UqANlqMU BRDq9X1z 06kruqTW 9z+gdvhL PGcp2+k7 mT04p9cv Td9T+tan
  EGmeSZvp pXZPY5il QRaaZvmm y73NjLyI k3zzQTbZ ak6Kpa22 l14BCrua pK/IM0AY f0BHNijy qG4UIsEj lnpxx8+b tCtsV6eP uEW8444m
  aXP/KTLM s7Bb6YnO hj+tjR8b ZkeYTUK5 Rr8qCKB2 iRAeAwn3 gLhcZVn+ Z7sKAbyG EIVDgN6J Iyi+yOQD Uz7Fkig3 6DyGZ30D Qv2x2qOf
  my6qipws 2uu2PE2P b/GbHxjW NvLVvW2D dXbZOshd HtUGSFsJ 6R0WeqPr olrLEabI v2ap7dCU 6spFCZb1 ZpFPdO2T hAxm5Xwt +7bHUxza
  0PMMEumX h+lKHqUl 5vxwWnnJ zUK/QU+b Cwh76hob 3/80fz3S ALVR03FU 6Vq1ZZRc xQZMnUPu 3kRpbNa9 hixe9hal 6HA0TfmN o8cXrKs2
  xNLks8I2 GfCDYfRp MSh+9aLm cWbfvGke kZMFWoTf x1yw4CN7 ZapMbUug oglUV9dp mL4hABmT 4X+qAZVy tqMI5n+b UpUkPIZG D375jFuk
  Y+IwsAPF XSdtYm4j fryDmkZe uqa8wcPY JRr6omRp 05Vwolyl +mNJti3I qtYVqcKH 7c314aFw XzSP4+pb zbw+cOTo yqyTkC5X vcoVG6Ms
  d/SLWcrt BqaFiYuF E6iCoQZB CcBF5L1R 12y3vnQy QmsBzGH/ DFhEWbnr TSekew/I ygvq/fcx 7VLdHM4y 5kiHddZA UTXvzZBS 7+tC2ijX
  X03DOM+9 cM7jPUHH WN1n16Fd 2qI1CttV nfaOms9n cuxD+vNN U09D66QD fsk2AYZO x2a9c4N8 A4Hz8ZBF HvNgSVlo 1KKTPOGU qnhqFGIm
  UVgYxpwO CODv9Sl3 RAL7kswS HS1NVRpX rz+J9hh9 VC8iRL23 f/A/tMgu nRDSdcPT mcg5022P PkbdzimI QJbQJ8HF nvO1zAFs +Z5dXu6u
  QicsLIsI cV7MpjaB 3PYA8kQD Ft4siUpQ Y98gPihg zWR7sGVp 0Xg87rnP yzolpT8n LcfxNn3m Chul31I5 XO8DjBa/ M9bMBaQ0 fGOi8Tt7
  l1qeahUs I4rqOtbW A2J3ErdV JOa2OV+X r0EL3d78 AkF0lmIh ORISyO3E Bng7DNzF Z9SN/SN0 +hfrp247 161yyqfC jkxvIz97 YIb+hzXz
  A7MYAEEt Pg79yjkZ 9H2jgSjy BHz/yot7 0TzuVA2E rk9kJcG2 fFrjurkg XAQuFX+3 xyZRt/t6 TrAC08zr hYR3PFZr ykEjONOB 1Df1dULG
  Y9MnYV6g yJACNyjY Q3c/REkG MJpzxi0j WX6B3O6U Ow/DcL46 r2rJjc4g wDt3vpg+ /6A4rYw7 fzz/ifQb LCnVPhvy 5ZhgWZdi VeSE53Sk
  cXFRC0P8 SZwC260q 4i3dOW+V H7ZY5kXe DxR2xswq 5jL03JlC VNqTSmWR AhTInzhn YifO/ojq 8559r8l7 uw8CepA1 7iSWkQhk YFrJtNvd
  MzgeNWxP hzTx/8vX MSo62Jmu gSUlPNM3 6tw+DFvd mc1w7zvj DaNKsXOZ OgfNaO4m +A21woch xJAN4k2a qYcrwhkv 5Vnqisvc PqyPQe5z
  m/n4tIon Fn+bmkZl RtJB6gxw OlMj3R4H jU/RQ5TX SWU+3WSl iCS8bNam 74JUdc8g VBT3X1Lz 4wzm/V9Y nHsRGPq5 /I2fsOTz LZyBPS2B
  KRL0GrTI l6Z6woEf xPRyAJLt vs28Ak2u 30iluUoH p7VcFdZ5 eTG8bfoz 0pwQaUxe hjPBgp0p G2SApqkN r79VDKKQ fFbhZFEC cKvYZDDX
  Sz7U2wgO S52o0vE3 /TWnX+Wr hifSFBV5 O3GqHe9m nF98ImXd RKqN8RgW /SPkL/Bm m4kpQaBX YKKQwPxC Vp7eDwRj q5wGkqYG 8HTdK5wc
  /OMW4zyR e9e/HJnc tzVImHlP tjstC/NV DehCX14w pUujltaH em4malTR E5FSoL0i iNLCYmb0 Nwwh3m7y 1nDi6gfb t4UwkADf g9qK1Qut
  THI+Q2tr qqvcCR/D d9HY66zR /gPJxDlK G+A0+BMB uo4q2Sm9 /7I0jKig kaTqAFdS L2Gib/to Tx4jzA8v SImFX+QR NZKb3tJ8 sn6Qi4Be
  aHt3JgEN 1F/2xfuD f9/bnsop KkoxeVZB 1q7mK9kf PxRp7mou OarM25SK O5ex8Rzk IIO0RCNr gFneanxH fOYgeHOF 8GfXsv86 orSWRgM6
  +fCU98wd PF+7B1MN olyalNbk 6ytRjOfc qzMc1Aox aQHl765X ugJRfA/d tpqLL99c YrGzFhNV ZjcZ4Iuj hvNHRtP3 vnwvWyHX wkUIXs5p
  HXJp3LbR yx0lBQR1 ew9PJNmX uZEFSP5j heFn1fBi 799kn7Az AYBp3Q60 nBgG7ARU /vY3itEq +0kfyQAj oiptoppe /QuWRWL4 DOexVciy
  cbNjskCE ei0WYYT5 9muSDVqh TyFelIyu jBK9ohTI +oeVXg6h 7mOltpZB 9OHLhsjK R8N9iggI jaqfTIsa KYdDxzkY wWKacjGJ r/humAk8
  yL/ig1gi qj+uTPpv 9o07gec1 JmVD2WeH paiHBLaG R/mzY6iK /IVjLJg4 BvmJICui FJQdVZdh TA+cSaQv Jg+P7Uu6 MhJtJuKC CBJjc9BW
  53cp7f0h 6vbFp2yp L6XfMCbW E6cwTf9C AW5XK0+Y ieDD4KDx TmVCL+0z lCtDCJ/Q i9xj5Qvt IvKVzucn Ix7IzYRY vq59Pdl8 /xE78KpY
  WuRuNGle 61Y6e84S GKz/ziU7 +xwAaHeB 4Jc2Tnb/ YIXX+1qb lGwYb+r8 Yg/E6qNN Vk8Nw9xH QTUXqmMg VtezFpqV vX/ZqN7x julMWI4L
  MlbyyC58 FN2LswaA RX0OWcEf ui/M6poI iwsTctiH c1Fjv8/V lC+hQG7i d0DpGv5F T1zDaoCU KFnAcZeK UTh5z3nS Bjht+Gth iPIY7LqZ
  a3BdRnfS zZ14KjVu siwPIaoc WRDlgL9B 1fYdUZlE nPXF/AzP /+WheIDX 0AQ3Dm7c BOkNJ155 oyJl5TKK A4WM5rLS CAAbXUCV w1Yoym7i
  CtlJOvgL gEyQvcKz Ka458nPj s0BiBgss 3lAgzSGo veSZPAME 8XIgh4Lb 3WBWmERX zi58WDnv 7dqJD0Ld 5Yq/rUoT 0SRmWyj6 HTlKvRtO
  GGv0U8ld Fd/HFYW6 xNdhuhiZ LoLM5HkQ MDYgFJdL nfXqH3j4 7srR4OS4 GzRhwmnV ICdu9Hn0 tglWa70Z nMZ8aUj3 TY5vSzQV INIe52Sx
  UJOWnzd7 scwhK0Uh 4DBmE5CC 2tF001na X6biZ8dm sNkCjE0U QFV4NMzo V6tYurtB ncFGWzOD lXmfr3Bt 3dFLD8Bn vUpwdA1a NkKsKjKA
  ppACsPXv ZoLG8ahm y+rvQays IhkuwNMu E6wsrUGQ weI0+ovJ Q0CQldT1 HW7s6AXg qwzpuh0p LXvvYWTC L2rG/DO8 oYDvOmYc AR8qmhEc
  NsAgsYVS w27btiVK 0jH2kjWi 0cOEcV47 HIF5Q9w5 aJ9UEMjg rM0mKBVZ hw1PZm0G wn45Lnw2 CqhfKrHf 4QIpxiP6 77U08NR8 VEeo401q
  0Mxs8QnJ yUV2ZB9K GRrCI1dU 5MOdvpST HVFsuL7x OSP9zCqf AZdS/4Kb Q4j39oqe CIA9SCOO xSqSZG9a yd20IQbM oPdXR5um J96SBBnB
  U2S68f2y REry80/T x2Lr1Iss 8rYoTJMN jZ5jYP3v 05qJr3Ip c0XsEbzM CAVcJh8m aIqN5k7/ V+X4is3c DJIFqQu+ JVYPMRaL T1KLOBha
  KUC4ebY/ QmeM84Vw VAo6HYNn TC7gHN6g I6FEYOqY x153x4FJ /AasqrU6 ncu6kDmB atsCWkAm 8slHsYrc kMcARgDz S+p9Cw9L qK0EucFE
  HtyZEBKs zkkdqtKW 7vMBsW/X GCojfYeM zXIxtut0 W8yzfmjC NzWtGRkD q0RwY0QC 6tZ6nPNN hSUVb+Kf CuFHiwX7 zO+drtkl FYZV25Sx
  THlijJWM ns2f3X4L O7CYzxYP DzJBHvkd I45R1qRP 3FCKeca4 hb3iipIq fio1eAAK nhxtQQf4 RRBNWV5E WRDvAKWz 4EqKpW0Y d48gGdzY
  iEY7uKS2 TmGv6MF0 /qveCPAK vn+mXx9r aqUEWmb3 pxbD1c54 DP42nPk9 DKAmBPqH led7Fd2k UCi6OK/s cMB1sulM Dew5UoUr z+auiQPG
  NSL3rllu yyDU/XVh gt0aA+WF 1HhAEO8E M8sFS1W7 9vsZhexZ eH3v1Psk Wzk23HSb lFQGuF17 Uv3a4+AY TAuRdWue DCfJ13rI IOhpnQh8
  esi2iGO9 PTfipQJ+ JsKiL5v6 lQXZ6G3O ob3u6YsH rJ490s65 MqXHzEkJ JCjPHesg seTPrq3W 2C9qaXT1 /0mM6Mnb 2pkVp1Uv y3OTDbQh
  tFzJRRSm nxPNjr9Q jr+whPmX o3D4KDP4 RkZ/6c46 jfl34rBA X/7iIatN b3ONxefZ waoYHmIP 22DX6in4 e/0cikoL 79koiY+h bqfeLtXq
  mIc6sTNG bcjkRtsd OjJXdYhn 2PeUlIqm 7MDwuZJ2 bC7U6MAS Ev5W8QEt XwvSLy8Y QByeIDPi 263nIja6 CMlNo1G7 003q5lI+ cb+pj1vq
  6uuU9Aa9 YRaZC1Mx 44EaynBj DFxE7SnS pMX144A/ z1EWuSEh Fb+dvTuB n7+ApCUF DUw0D8Ix 84LTLojD Z1HTrYu2 WsA7TxPZ EuZgP3E7
  6dq4/Z2U jOS1n5TO v/yxfDXB ooBkDxOf MLIPsyCw 8CG1WjbZ lrSmViMg jIzogtX3 rDVflSYP GOsD8KM0 dw7fQrig bRrjhegK C0umdOQB
  gmXUPPsH 61hmGbRK Xc/sH5ES yWdjZy7k e4Iypmzs rFOPq61D n/H9DFDr aKNd5Lpv XHJKMMb7 znMZ74iy XlJOzhxp +GKAPJbM yZWfkKLV
  Z8SfQQ9I shg+GwCB gVV4u6bn th5DK7l8 U6DlcnfZ DeSG0hFf TzQ4Fs1I Psrml7Ql 6lwRtLLF vyeYuOVU eoPsylHv bQGVd3+B RIU26YJA
  UY4C7vUv sd5RZ/TT EsEZHk3j uc4UJRwM 1BQbRV0w rjiZNrv2 Arc0676I yMnEJSEA SZD85pUu 4vSVCdEA 2q8OaZoS 7Jv7em0E /hqosGna
  HHjMAb6h LXmunO5K qURZLbx9 SL3MPxpb j9zZk1JD fEdi6Xnw NjKtOJvi TId7PElx ggokQtX0 cqH/Hpux aS0tpalf lvcw+O+J OzoZR7TL
  3dczCPzo GdMX6pjT mhsB4hVP 4bifsxEU IALqCjij D9/tjePB fCrQ8qVw lWLZ4hPx 2iBhbuSk 8U7aliZA NBJeTiH3 uGyjEv5Z cc8F6Q0w
  VDi04z8c +O7Ykhdm z+s+dOS1 jJeli+Do xY0+ILjU 2xTNMliP m8v30iEv Q6UtFbn3 4C4fK9h5 7HLODoLG d0neAhC8 Df7/snYj zRjgMld8
  9c/KIRsC vFHXdFkx ruEQ8fTU rmK37huN amwo52Fk /FzXUOF0 iZPOovfy BREspguv BaMf/HDk PErFELNi TDvjoqhC 92HPKCaS 19Y4rszh
  +zlIyBGZ p0Zm81cg UUU1WA8N n8Pr0TnM 7zG0VPc0 QxRKMp11 9zSq+qTb KAaZAD1d K4ErLJtg +f69Eh4X g0eLHFhX vFhnTplr wP4yNYHq
  kYbmvBQp 0AtkXYbb R0fi6bgm SOjL6xJA oYFPjOD8 BPiL9jng gDSlXjtu lVbbU3D4 CoOZ8eWk a7dhI9kl mUpFbq2g m1JeNTaK fZItV/2x
  KIZrbRw5 R4JSCwb5 piiboo6A LU5YjTGj EG8oz+3w xSqZO4At sdNvcjtw ToGTBhyd hK/XBnj/ FF6N0itE hOP19y8Z Y1EW2oul PG1szklj
  mvxj384N arHkrkqg x9vg5BwK +N2xwA9u utvQXl95 Kbd6MHX0 wbAakeju 663gImGV OYYurG3V cnMpOCjv TVqAD5si gU00vyju LgHUBBb3
  1Iw/D97z oS7pgS1q sS/1W9Ps o8vg1ksF wGzjNVM6 XC+Bgk6Z OKcDRHb7 bj600Bhz 36klk+8P 3UD+j2fG x3YYbOR/ yYH8NvGm MBxRWgKk
  OY8i8O+/ WBGbOOah p6FjxBg7 78mzXbgf 0yraF4s+ 4zcf4jat 2F+3bnjD VJdeNeWx tdyUfWQz 98QyP1xB iHKlC1/j d1dL8GlS 539EIGuw
  AW3w9xe8 /X/bPQIr H0A8enVQ NUXX1Mlc mwJJZL36 N2yCunuH 7fwrq355 APG108rG ENAaYwEq g6i2aczQ TU8o/gnE 5e/9khvo V49gM4sf
  utBBJXXT a4myPx4R 179HSNbd jKZSBxfP VzkhqVX+ ARFfbYml 0Ars7/DO b73gR0zE ySZGJvaP axK9lYCu /CUSXngp TqCGvkPs EA3MUwOb
  9h9KBKWh 7/J8tR9N /8bLdRxw EPRRcZ2w GH2shVyk SupXxyHj ni0+iK97 M7Fp1Mon uGeX5L4C g3J+klc0 3FOYhfx7 VFhqvwQR lTJjaAAB
  8cMmnYcE 8JK1iAMw qURk2MyP 9erE/g6h O+w0sWGx RhRpdd9n S8If4D5n 9MeiXxp0 1ZGRzigt wbmah60V /XX8dcNv s04ZweII l0/iNzD8
  NHI/uOJT b4BHNO+S gqKsYHny 8wh4mORS L8FhOCIK Cx5M9a/y Ho8zBb8v 9oDMD2NY 5OjWspgk 5GN5HQ9W T2lCVZIN mMlkH6nf EECBNqaP
  +WJv/Wkn RX2k7xRR hzOetXI4 7ZMRPBZD oyNOXROw zpPmQsLx BUFBX/VG 9VtKtkol uPxZQ4+M 1PNmszd/ bYA3Xzzx 1m/FmukX wooFGVJF
  aC9G9cBW 38/7XhVT 2sUj1jdM cxJfyDq7 Dm7FgB2L IkQRHi52 nv+krtnG 4i8WvUzH NbXrMatV O7c4bxsc U1GJm2my pwkyGgIQ 559PURNy
  ydc3q8Sp RxTGBKqV x6jK+JML em9EacMK hkPd+KqN yNFBrLZC 6qryoV9E qoyHLX4Q gNS6eJ+K kbYies3R /Tup+tMg GZdYqcPQ X6r+tZXx
  36ss4auZ 0HCqspWo 99TdHgWc PIl8r+K0 YHIlbWV0 ecSyY7Ll cxQCF6ST SrMrwVZq MGqxRuXI MPrDIwSL zQ2mmTee pp0Ff0t0 qwiPUC+8
  PIN5DDtF 9mvUh333 GsGo7esh 78MD2SLo UqGkUnOH JEwk9eyy WpoxLokq 6byWyB6H ccDKfPoF agmJfmKb /2/uoCjs 3avd0V6v C940t0bS
  +JwnLn0c 882WNHzq GSJXpUzl MpuGa8pB TG/BZAUF w5Bnhv+4 +f1MGR84 RO5ykARQ /G9LfrOa 6yQ9+swt z/Pr1eoM f9UH0D/h QWw3rhrR
  v4Qf5ESt B2uDUtyo qBTH43PQ r7qm5z6F WOXthRAL dmks6NEW M0mMO3Eq 5w/EZvsq CdEm8Bfg RQCgPDo/ 6CUgY/Wt 58rPTzcU NjONszJr
  5i2oZJOg Q+YgVdtu YODBatpY 3kmJmJJp 2FEc6sL9 c8gLc0v8 7j2nao/P CBz98tdY IECaFGtC uM6iFaAS Nn7qHstO WMJFf1pe j6X/W2sm
  mPPJiAeU 7oRp3WHP 8iKYIQsJ QSRxPXwt TTcKgZSj ULaL9ybq BxF8aw21 bR4p853t Hrpus/fy UGsuu0m9 u/b8UZjz EEXqn+IU cPhduYB7
  kCEXlv7T IwtwAvV8 /Uqtc7Ay PCJ3KuwK ot46Dvly CFTgNA+B
`;

const lists: readonly (readonly [publication: string, keys: string])[] = [
  ["it is a small multiple of Ed25519's base point", baseMultiples],
  ["its seed is one that anybody can guess", guessedSeeds],
  ["RFC 8032, 8080, 8410 or 9421 prints it as an example", documents],
  ["it comes from the tests of well-known software", softwareTests],
  ["it is one of Ed25519's test vectors", ed25519Vectors],
];
