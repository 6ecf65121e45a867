/** What is in flight, the oldest first, below the table of workers. Pure. */
import type { ShownRequests } from '../../protocol/requests.ts';
import { requestText } from '../../protocol/requests-text.ts';
import { plain } from '../../system/plain.ts';
import { cut } from '../text.ts';
import type { Line } from './style.ts';

/** Requests that are shown, however much room there is. */
export const mostInFlight = 10;

/** Seconds after which a request is worth a look. */
const old = 5;

/** @param rows there are, a blank one and the title included */
export function inFlightLines(inFlight: ShownRequests | null, cells: number, rows: number): readonly Line[] {
  if (inFlight === null || rows < 3) return [];
  const { silent, requests } = inFlight;
  const blocked = silent.flatMap(({ slot }) => slot ?? []).join(', ');
  const shown = requests.slice(0, Math.min(mostInFlight, rows - 2));
  if (shown.length === 0 && blocked === '') return [];
  const title = `in flight, oldest first${blocked === '' ? '' : ` (blocked: slot ${blocked})`}`;
  return [
    [],
    [{ text: cut(title, cells), style: 'title' }],
    ...shown.map((request): Line => {
      const { age, phase, url } = requestText(request);
      const slot = request.slot === null ? '-' : String(request.slot);
      const text = `${age.padStart(6)}  slot ${slot}  ${plain(request.method)} ${plain(url)}, ${phase}`;
      return [{ text: cut(text, cells), style: request.age > old ? 'warn' : 'plain' }];
    }),
  ];
}
