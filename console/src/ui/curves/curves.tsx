/** Curves over time by uPlot, which is loaded with the first of them. */
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { formatFigure } from "../format.ts";
import { formatClock, formatTime } from "../time.tsx";

/** A curve. */
export interface Curve {
  readonly name: string;
  /** A value for each time; null where there is none. */
  readonly values: readonly (number | null)[];
  /** Name of the custom property with its colour, such as "--good". */
  readonly colour: string;
}

const heightPx = 140;

/**
 * Draws curves. Their last values stand below as text, since a canvas says nothing to those who cannot see it. `times`
 * are seconds since 1970, ascending.
 */
export function Curves(props: {
  readonly title: string;
  readonly times: readonly number[];
  readonly curves: readonly Curve[];
  /** What the values count, such as "per second". */
  readonly unit?: string;
}) {
  const { title, times, curves, unit = "" } = props;
  const element = useRef<HTMLDivElement>(null);
  const last = times.at(-1);
  useEffect(() => {
    const parent = element.current;
    if (parent === null || times.length === 0) return;
    const style = getComputedStyle(parent);
    const colourOf = (name: string) => resolveColour(parent, `var(${name})`);
    const axis = {
      stroke: colourOf("--text-quiet"),
      grid: { stroke: colourOf("--line"), width: 1 },
      ticks: { show: false },
    };
    const font = `12px ${style.fontFamily}`;
    const plot = new uPlot(
      {
        width: parent.clientWidth,
        height: heightPx,
        legend: { show: false },
        cursor: { show: false },
        series: [{}, ...curves.map(({ name, colour }) => ({ label: name, stroke: colourOf(colour), width: 2 }))],
        axes: [
          { ...axis, font, values: (_plot, ticks) => ticks.map((tick) => formatClock(tick)) },
          { ...axis, font, size: 56, values: (_plot, ticks) => ticks.map((tick) => formatFigure(tick)) },
        ],
        scales: { y: { range: (_plot, low, high) => [Math.min(0, low ?? 0), Math.max(high ?? 1, 1) * 1.05] } },
      },
      [[...times], ...curves.map(({ values }) => [...values])],
      parent,
    );
    const resize = new ResizeObserver(() => plot.setSize({ width: parent.clientWidth, height: heightPx }));
    resize.observe(parent);
    return () => {
      resize.disconnect();
      plot.destroy();
    };
  }, [times, curves]);
  return (
    <figure className="curves">
      <figcaption>{title}</figcaption>
      <div ref={element} aria-hidden="true" className="plot" hidden={last === undefined} />
      {last === undefined ? (
        <p className="quiet">There are no samples yet: the server takes one every 30 s.</p>
      ) : (
        <ul className="quiet">
          {curves.map(({ name, values, colour }) => (
            <li key={name}>
              <span aria-hidden="true" className="stroke" style={{ color: `var(${colour})` }}>
                ━
              </span>{" "}
              {name}: {values.at(-1) == null ? "no value" : `${formatFigure(values.at(-1) ?? 0)} ${unit}`}
            </li>
          ))}
          <li className="visually-hidden">at {formatTime(new Date(last * 1_000))}</li>
        </ul>
      )}
    </figure>
  );
}

/** A canvas knows neither custom properties nor light-dark(). */
function resolveColour(parent: HTMLElement, value: string): string {
  const probe = document.createElement("span");
  probe.style.color = value;
  parent.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
