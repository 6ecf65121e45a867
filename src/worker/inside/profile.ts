/** What the processor's time of this worker goes into, as DevTools and speedscope read it. */
import { InspectorSession } from './session.ts';

/** Microseconds between two samples, as V8 has them. */
const usualInterval = 1_000;
/** Samples of a profile: a long one has them further apart. */
const mostSamples = 300_000;

/**
 * @param milliseconds how long it is to be
 * @param wait waits so long, or less if it is to be over before
 * @returns the text of a `.cpuprofile`
 * @throws Error if the inspector refuses
 */
export async function takeProfile(milliseconds: number, wait: (ms: number) => Promise<void>): Promise<Buffer> {
  const session = new InspectorSession();
  try {
    await session.post('Profiler.enable');
    const interval = Math.max(usualInterval, Math.ceil((milliseconds * 1_000) / mostSamples));
    await session.post('Profiler.setSamplingInterval', { interval });
    await session.post('Profiler.start');
    await wait(milliseconds);
    const { profile } = (await session.post('Profiler.stop')) as { readonly profile: unknown };
    return Buffer.from(JSON.stringify(profile));
  } finally {
    session.close();
  }
}
