/** The JavaScript stack of a worker that is stuck, taken from outside. */
import { inFlightKey, ownWork } from '../../protocol/messages.ts';
import { connectInspector, type Session } from './inspector.ts';
import { SourceMaps } from './source-maps.ts';

/** Where a worker is stuck, and on what. */
export interface Capture {
  /** One line per frame, innermost first, as in an Error's stack. */
  readonly frames: readonly string[];
  /** Requests in flight in that worker. */
  readonly requests: readonly { readonly method: string; readonly url: string; readonly age: number }[];
  /** The worker ran prefork's own code: it was not stuck any more when it was looked at. */
  readonly isOwnWork: boolean;
  /** Why there is no stack; `null` if there is one. */
  readonly problem: string | null;
}

interface CallFrame {
  readonly functionName: string;
  readonly location: { readonly scriptId: string; readonly lineNumber: number; readonly columnNumber?: number };
  readonly callFrameId: string;
}

const maxFrames = 30;

/**
 * Takes the stack, lets the worker run on, and closes the session. Never throws.
 *
 * @param within milliseconds
 */
export async function captureStack(pid: number, open: () => void, within: number): Promise<Capture> {
  const signal = AbortSignal.timeout(within);
  try {
    const session = await connectInspector(pid, open, signal);
    try {
      return await read(session);
    } finally {
      session.close();
    }
  } catch (error) {
    const reason = signal.aborted
      ? `no answer within ${within} ms (a stopped process has no stack to show)`
      : String(error);
    return withoutStack(reason);
  }
}

/** @param problem why there is no stack */
export function withoutStack(problem: string): Capture {
  return { frames: [], requests: [], isOwnWork: false, problem };
}

async function read(session: Session): Promise<Capture> {
  const maps = new SourceMaps(session);
  await session.send('Debugger.enable');
  const paused = session.next('Debugger.paused');
  // If the worker dies before it is waited for, nothing would handle the rejection, and it would end the master.
  paused.catch(() => {});
  await session.send('Debugger.pause');
  const callFrames = ((await paused).callFrames ?? []) as CallFrame[];
  const frames: string[] = [];
  for (const frame of callFrames.slice(0, maxFrames)) frames.push(await describe(frame, maps));
  // Node's own frames below the app's say nothing about the app.
  while (frames.length > 1 && frames.at(-1)?.includes('(node:')) frames.pop();
  const [top] = callFrames;
  const requests = top === undefined ? [] : await requestsInFlight(session, top);
  await session.send('Debugger.resume');
  return { frames, requests, isOwnWork: isOwnWork(callFrames), problem: null };
}

/** By a marked function in the script of the innermost frame: what it calls elsewhere, such as a metric of the app, may be stuck. */
function isOwnWork(frames: readonly CallFrame[]): boolean {
  const innermost = frames[0]?.location.scriptId;
  return frames.some(({ functionName, location }) => functionName === ownWork && location.scriptId === innermost);
}

async function describe(frame: CallFrame, maps: SourceMaps): Promise<string> {
  const { scriptId, lineNumber, columnNumber = 0 } = frame.location;
  const place = await maps.place(scriptId, lineNumber, columnNumber);
  return `at ${frame.functionName === '' ? '<anonymous>' : frame.functionName} (${place})`;
}

async function requestsInFlight(session: Session, frame: CallFrame): Promise<Capture['requests']> {
  const { result } = await session.send('Debugger.evaluateOnCallFrame', {
    callFrameId: frame.callFrameId,
    expression: `globalThis[Symbol.for(${JSON.stringify(inFlightKey)})]?.()`,
    silent: true,
    returnByValue: true,
    timeout: 200,
  });
  const value = (result as { value?: unknown } | undefined)?.value;
  if (typeof value !== 'string') return [];
  const parsed: unknown = JSON.parse(value.slice(0, 100_000));
  if (!Array.isArray(parsed)) return [];
  return parsed.slice(0, 20).flatMap((raw: Record<string, unknown>) => {
    const { method, url, age } = raw;
    return typeof method === 'string' && typeof url === 'string' && typeof age === 'number'
      ? [{ method: method.slice(0, 20), url: url.slice(0, 500), age }]
      : [];
  });
}
