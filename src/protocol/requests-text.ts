/** A request in flight, in words: for commands, for `top` and for the page. */
import { span } from './figures-text.ts';
import { phaseText, type ShownRequest, withoutQuery } from './requests.ts';

export interface RequestText {
  /** `0.4s`, `12s`, `3m04s` */
  readonly age: string;
  /** What is not known of a worker that cannot be asked is left out. */
  readonly phase: string;
  /** The URL, and the route behind it if that says more. */
  readonly url: string;
}

export function requestText({ age, phase, url, route }: ShownRequest): RequestText {
  const path = withoutQuery(url);
  return {
    age: age < 10 ? `${age.toFixed(1)}s` : span(age),
    phase: phase === null ? '-' : phaseText[phase],
    url: route === null || route === path ? url : `${url} (${route})`,
  };
}
