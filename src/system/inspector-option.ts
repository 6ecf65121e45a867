/** Whether this process was started with an inspector, and did not get one by a signal. */
export function asksForInspector(): boolean {
  const options = [...process.execArgv, ...(process.env.NODE_OPTIONS ?? '').split(' ')];
  return options.some((option) => /^--inspect(-brk|-wait)?(=|$)/.test(option));
}
