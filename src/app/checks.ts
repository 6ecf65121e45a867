/** Runs an app's health checks: each by itself, each with its deadline, none of them able to harm anything. */
import { type Check, registry } from './registry.ts';

export interface CheckResult {
  readonly name: string;
  readonly ok: boolean;
  readonly critical: boolean;
  /** Why it failed, in one line. */
  readonly error: string | null;
  /** Milliseconds it took. */
  readonly ms: number;
}

export function runChecks(): Promise<CheckResult[]> {
  return Promise.all([...registry().checks.values()].map(runCheck));
}

async function runCheck(check: Check): Promise<CheckResult> {
  const { name, critical, timeout } = check;
  const startedAt = performance.now();
  const error = await outcome(check, timeout);
  return { name, critical, ok: error === null, error, ms: Math.round(performance.now() - startedAt) };
}

async function outcome({ run }: Check, timeout: number): Promise<string | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`no answer within ${timeout / 1_000} s`), timeout);
  });
  try {
    const work = Promise.resolve(run()).then((value) => (value === false ? 'it says false' : null));
    // What fails after its deadline was reported already.
    work.catch(() => {});
    return await Promise.race([work, late]);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return text.split('\n', 1)[0]?.slice(0, 300) || 'it throws';
  } finally {
    clearTimeout(timer);
  }
}
