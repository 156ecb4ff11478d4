/** Draws the charts of a run as one SVG, in colours that are readable on light and dark backgrounds. */
import { formatCount } from "./format-report.ts";
import type { Bar, BarChart } from "./part.ts";

const layout = { width: 820, labelWidth: 270, valueWidth: 90, barHeight: 22, gap: 8, titleHeight: 34, top: 10 };
const colours = { ours: "#2f7ed8", others: "#8a94a3", spread: "#d8862f" };

/**
 * Draws one chart below the other. A line at the end of each bar spans the lowest to the highest value of all rounds.
 */
export function drawCharts(charts: readonly BarChart[]): string {
  const parts: string[] = [];
  let y = layout.top;
  for (const { title, bars } of charts) {
    parts.push(`<text x="10" y="${y + 18}" font-weight="bold">${escapeText(title)}</text>`);
    y += layout.titleHeight;
    const most = Math.max(...bars.map((bar) => bar.most));
    for (const bar of bars) {
      parts.push(...drawBar(bar, y, (layout.width - layout.labelWidth - layout.valueWidth) / most));
      y += layout.barHeight + layout.gap;
    }
    y += layout.gap;
  }
  const size = `width="${layout.width}" height="${y}" viewBox="0 0 ${layout.width} ${y}"`;
  const style = 'font-family="sans-serif" font-size="14" fill="#7a828e"';
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size}>\n<title>Medians, and from least to most</title>\n<g ${style}>\n${parts.join("\n")}\n</g>\n</svg>\n`;
}

function drawBar({ label, value, least, most, isOurs }: Bar, y: number, scale: number): string[] {
  const { labelWidth, barHeight } = layout;
  const [length, from, to] = [value * scale, labelWidth + least * scale, labelWidth + most * scale];
  const baseline = y + barHeight - 6;
  const middle = y + barHeight / 2;
  return [
    `<text x="${labelWidth - 10}" y="${baseline}" text-anchor="end">${escapeText(label)}</text>`,
    `<rect x="${labelWidth}" y="${y}" width="${length.toFixed(1)}" height="${barHeight}" fill="${isOurs ? colours.ours : colours.others}"/>`,
    `<line x1="${from.toFixed(1)}" y1="${middle}" x2="${to.toFixed(1)}" y2="${middle}" stroke="${colours.spread}" stroke-width="2"/>`,
    `<text x="${(Math.max(labelWidth + length, to) + 8).toFixed(1)}" y="${baseline}">${formatCount(value)}</text>`,
  ];
}

function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
