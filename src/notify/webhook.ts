/** Posts events to a webhook, again and again if that may help. */
import { unescape as decodePercent } from 'node:querystring';
import type { ServiceEvent } from '../config/service-event.ts';
import { version } from '../system/package.ts';

/** Milliseconds that an answer may take. */
const answerWithin = 10_000;
/** Milliseconds before each further try; a quarter more or less, so that services that failed together do not come back so. */
const delays: readonly number[] = [1_000, 2_000, 4_000, 8_000, 15_000];
/** The longest wait that a receiver may ask for, and the longest time for one event. */
const longestWait = 60_000;
const longestTime = 120_000;

/** What may be said again: the receiver is overloaded, or not there for the moment. */
const isPassing = (status: number): boolean => status >= 500 || status === 429 || status === 408;

interface Outcome {
  /** `null` if it was taken. */
  readonly failure: string | null;
  readonly isFinal: boolean;
  /** Milliseconds that the receiver wants to be left alone; `null` if it did not say. */
  readonly wait: number | null;
}

/**
 * @param say is told, in a line, when posts begin to fail for the moment: without it there is silence until one is given up
 * @returns posts an event; throws an error that says why it was not taken, without the URL
 */
export function webhookOf(text: string, say: (line: string) => void): (event: ServiceEvent) => Promise<void> {
  const url = new URL(text);
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'user-agent': `prefork/${version}`,
    ...authorisation(url),
  };
  // Not in a URL: fetch refuses it.
  url.username = '';
  url.password = '';
  let isFailing = false;
  return async (event) => {
    const startedAt = performance.now();
    for (let tries = 1; ; tries += 1) {
      const { failure, isFinal, wait } = await post(url, headers, event);
      if (failure === null) {
        isFailing = false;
        return;
      }
      const pause = Math.min(longestWait, wait ?? (delays[tries - 1] ?? 0) * (0.75 + Math.random() / 2));
      const isLate = performance.now() - startedAt + pause > longestTime;
      if (isFinal || tries > delays.length || isLate)
        throw new Error(tries === 1 ? failure : `${failure}, tried ${tries} times`);
      if (!isFailing) say(`event ${event.type}: ${failure}; it is tried again`);
      isFailing = true;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  };
}

async function post(url: URL, headers: Readonly<Record<string, string>>, event: ServiceEvent): Promise<Outcome> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { ...headers, 'idempotency-key': event.id },
      body: JSON.stringify(event),
      // A POST that is redirected becomes a GET, or goes where nobody wanted it.
      redirect: 'manual',
      signal: AbortSignal.timeout(answerWithin),
    });
    const { ok, status } = response;
    // Nobody reads it, and the connection is to be free.
    await response.body?.cancel().catch(() => {});
    if (ok) return { failure: null, isFinal: true, wait: null };
    return {
      failure: `it answered ${status}${status >= 300 && status < 400 ? ', and redirects are not followed' : ''}`,
      isFinal: !isPassing(status),
      wait: waitOf(response.headers.get('retry-after')),
    };
  } catch (error) {
    return { ...reasonOf(error), wait: null };
  }
}

/** RFC 9110, 10.2.3: seconds, or a date. */
function waitOf(value: string | null): number | null {
  if (value === null) return null;
  const wait = /^\d{1,9}$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - Date.now();
  return Number.isFinite(wait) ? Math.max(0, wait) : null;
}

/** Of `fetch failed` the cause says why. What has no code never reached the network, and never will: a port that fetch refuses. */
function reasonOf(error: unknown): Pick<Outcome, 'failure' | 'isFinal'> {
  if (!(error instanceof Error)) return { failure: 'it could not be reached', isFinal: false };
  if (error.name === 'TimeoutError') return { failure: `no answer within ${answerWithin / 1_000} s`, isFinal: false };
  const { cause } = error;
  const { code, message } = (cause instanceof Error ? cause : error) as NodeJS.ErrnoException;
  if (code === undefined) return { failure: `fetch refuses it: ${message}`, isFinal: true };
  return { failure: `it could not be reached (${code})`, isFinal: false };
}

function authorisation({ username, password }: URL): { authorization?: string } {
  if (username === '' && password === '') return {};
  // Not decodeURIComponent, which throws at a `%` that stands for itself: URLs take it, and passwords have it.
  const credentials = `${decodePercent(username)}:${decodePercent(password)}`;
  return { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` };
}
