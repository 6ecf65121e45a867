/** A sparkline in the page. */
import { setAttribute, svg } from './dom.ts';
import { kept, type Sample } from './history.ts';
import { height, outlineOf, width } from './spark-path.ts';

export class Spark {
  readonly node: SVGSVGElement;
  readonly #area = svg('path', { class: 'spark-area' });
  readonly #line = svg('path', { class: 'spark-line' });
  readonly #marks = svg('path', { class: 'spark-marks' });

  /** @param unit of its samples: lines of the same unit have the same colour */
  constructor(unit: string, place: 'in-card' | 'in-cell') {
    this.node = svg(
      'svg',
      {
        class: `spark ${place} spark-${unit}`,
        viewBox: `0 0 ${width} ${height}`,
        preserveAspectRatio: 'none',
        'aria-hidden': 'true',
        focusable: 'false',
      },
      [this.#area, this.#marks, this.#line],
    );
  }

  draw(samples: readonly Sample[], highest: number, holders: readonly number[] = []): void {
    const { line, area, marks } = outlineOf(samples, kept, highest, holders);
    setAttribute(this.#line, 'd', line);
    setAttribute(this.#area, 'd', area);
    setAttribute(this.#marks, 'd', marks);
  }
}
