/** What the log says of a canary's trial. */
import { type ActionLines, line, seconds } from './line.ts';

const nextText = {
  promote: 'the rest follow',
  reject: 'it leaves again',
  hold: 'it is held: prefork promote lets the rest follow, prefork abort takes it back',
} as const;

export const trialActions: ActionLines<'try' | 'judge'> = {
  try: ({ reload, generation, within }) =>
    line(
      'info',
      `reload ${reload}: the first worker of generation ${generation} takes its share of requests, and is compared with the others for ${seconds(within)}`,
      { reload, generation },
    ),
  judge: ({ reload, verdict, text, next }) =>
    verdict === 'passed'
      ? line('info', `reload ${reload}: the canary has passed: ${text}`, { reload, verdict })
      : line('warn', `reload ${reload}: the canary is ${text}; ${nextText[next]} (onUndecided)`, { reload, verdict }),
};
