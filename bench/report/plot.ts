/**
 * Bars as SVG, drawn by ECharts without a browser. One look tells who wins: the best is on top, prefork has the colour.
 * The pictures stand on pages that are light or dark, so they have no ground of their own, and the colour of their text
 * is legible on both and follows what the reader prefers.
 */
import { init } from 'echarts';
import type { Bar, Panel } from './figures.ts';

const width = 900;
const columns = 2;
const gap = 16;
const margin = 10;
const head = 50;
const barHeight = 24;
const ours = '#2f81f7';
const others = '#9aa4af';
const aimed = '#d1622b';
const ink = '#6e7781';
const inkOnDark = '#c9d1d9';
const inkOnLight = '#32383f';

/** The best first; those without a figure last. */
export function ranked({ bars, better }: Panel): readonly Bar[] {
  const worst = better === 'less' ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  const sign = better === 'less' ? 1 : -1;
  return bars
    .map((bar, place) => ({ bar, place }))
    .sort((a, b) => {
      const [one, other] = [a.bar.value ?? worst, b.bar.value ?? worst];
      return one === other ? a.place - b.place : sign * (one < other ? -1 : 1);
    })
    .map(({ bar }) => bar);
}

interface Place {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** Rows of two, each as high as its longer plot. */
export function layOut(panels: readonly Panel[]): { readonly places: readonly Place[]; readonly height: number } {
  const across = panels.length === 1 ? 1 : columns;
  const each = (width - gap * (across - 1)) / across;
  const places: Place[] = [];
  let top = margin;
  for (let first = 0; first < panels.length; first += across) {
    const row = panels.slice(first, first + across);
    const height = head + barHeight * Math.max(...row.map(({ bars }) => bars.length)) + gap;
    places.push(...row.map((_, column) => ({ left: column * (each + gap), top, width: each, height })));
    top += height;
  }
  return { places, height: top };
}

/** @returns the source of an SVG picture with a plot for each panel; the title is for those who cannot see it */
export function draw(panels: readonly Panel[], title: string): string {
  const { places, height } = layOut(panels);
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height });
  try {
    const at = (index: number): Place => places[index] ?? { left: 0, top: 0, width, height };
    const names = (panel: Panel): readonly string[] => ranked(panel).map(({ name }) => name);
    const show = (value: number, digits: number): string =>
      value.toLocaleString('en', { maximumFractionDigits: digits });
    chart.setOption({
      animation: false,
      textStyle: { color: ink },
      title: panels.map((panel, index) => ({
        text: panel.title,
        subtext: `${panel.better} is better`,
        left: at(index).left,
        top: at(index).top,
        padding: 0,
        itemGap: 4,
        textStyle: { fontSize: 13, color: ink },
        subtextStyle: { fontSize: 11, color: ink },
      })),
      grid: panels.map((panel, index) => ({
        left: at(index).left + labelWidth(panel),
        top: at(index).top + head - 8,
        width: at(index).width - labelWidth(panel) - 64,
        height: panel.bars.length * barHeight,
      })),
      xAxis: panels.map((panel, index) => ({
        type: 'value',
        gridIndex: index,
        show: false,
        min: 0,
        max: ({ max }: { readonly max: number }) => Math.max(max, panel.aim ?? 0) || 1,
      })),
      yAxis: panels.map((panel, index) => ({
        type: 'category',
        gridIndex: index,
        inverse: true,
        data: [...names(panel)],
        axisLine: { show: false },
        axisTick: { show: false },
        axisLabel: { color: ink, fontSize: 12, interval: 0 },
      })),
      series: panels.map((panel, index) => ({
        type: 'bar',
        silent: true,
        xAxisIndex: index,
        yAxisIndex: index,
        barWidth: 15,
        data: ranked(panel).map(({ name, value }) => ({
          value: value ?? 0,
          itemStyle: { color: name.startsWith('prefork') ? ours : others },
          label: {
            show: true,
            position: 'right',
            color: ink,
            fontSize: 12,
            textBorderWidth: 0,
            fontWeight: name.startsWith('prefork') ? 'bold' : 'normal',
            formatter: value === null ? 'no figure' : show(value, panel.digits ?? 0),
          },
        })),
        ...(panel.aim === undefined
          ? {}
          : {
              markLine: {
                silent: true,
                symbol: 'none',
                lineStyle: { color: aimed, type: 'dashed', width: 1.5 },
                label: {
                  position: 'start',
                  distance: 3,
                  formatter: `aim ${show(panel.aim, 3)}`,
                  color: aimed,
                  fontSize: 11,
                  textBorderWidth: 0,
                },
                data: [{ xAxis: panel.aim }],
              },
            }),
      })),
    });
    return themed(chart.renderToSVGString(), title);
  } finally {
    chart.dispose();
  }
}

function labelWidth({ bars }: Panel): number {
  return 14 + 7 * Math.max(...bars.map(({ name }) => name.length));
}

/** Text takes the reader's side, and nothing reacts to a pointer. */
function themed(svg: string, title: string): string {
  const rule = (scheme: string, colour: string): string =>
    `@media (prefers-color-scheme: ${scheme}) { text[fill="${ink}"] { fill: ${colour}; } }`;
  const style = `<style>${rule('light', inkOnLight)} ${rule('dark', inkOnDark)}</style>`;
  return svg
    .replace(/<style\b[^>]*>[\s\S]*?<\/style>/g, '')
    .replace(/ (?:class|ecmeta_\w+)="[^"]*"/g, '')
    .replace(/(<svg [^>]*>)/, (head) => `${head}\n<title>${escaped(title)}</title>\n${style}`)
    .replace(/\n+/g, '\n')
    .trimEnd()
    .concat('\n');
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
