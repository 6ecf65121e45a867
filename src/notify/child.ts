/** The process that tells others of events, one after the other: it calls the `on` hook, or posts to the webhook. */
import { Socket } from 'node:net';
import { describeFailure } from '../config/probe/failure.ts';
import { endWithParent } from '../config/probe/watch.ts';
import type { ServiceEvent } from '../config/service-event.ts';
import { messageOf } from '../errors.ts';
import { hookOf } from './hook.ts';
import { type NotifyAnswer, type NotifyEvent, type NotifyOrder, notifyDescriptor } from './messages.ts';
import { webhookOf } from './webhook.ts';

/** Tells of an event. @throws what goes wrong */
type Tell = (event: ServiceEvent) => Promise<void>;

// A signal to the whole process group or control group stops the service: its last event is still to be told.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) process.on(signal, () => {});
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
process.title = 'prefork: events';

const pipe = new Socket({ fd: notifyDescriptor, readable: true, writable: true });
let tell: Tell | null = null;
let source = '';
let current: ServiceEvent | null = null;
let rest = '';

pipe.setEncoding('utf8');
pipe.on('error', () => process.exit(0));
// The master is gone, or wants nothing more.
pipe.on('close', () => process.exit(0));
pipe.on('data', (chunk: string) => {
  const lines = (rest + chunk).split('\n');
  rest = lines.pop() ?? '';
  for (const line of lines) take(JSON.parse(line) as NotifyOrder | NotifyEvent);
});
// Of what the hook has left behind: it concerns the event of the moment, and no later one.
process.on('uncaughtException', (error) => {
  if (current !== null) answer(current, failureOf(error));
  else console.error(failureOf(error));
});

function take(message: NotifyOrder | NotifyEvent): void {
  if ('task' in message) {
    endWithParent(message.parent);
    const { task } = message;
    source = task.type === 'hook' ? task.path : '';
    tell = task.type === 'hook' ? hookOf(task.path) : webhookOf(task.url, (line) => console.log(line));
    return;
  }
  const { event } = message;
  current = event;
  if (tell === null) return;
  tell(event).then(
    () => answer(event, null),
    (error: unknown) => answer(event, failureOf(error)),
  );
}

/** Of a hook the place in its file as well; what the webhook throws is a reason as it is. */
function failureOf(error: unknown): string {
  return source === '' ? messageOf(error) : describeFailure(error, source);
}

/** The first answer to an event counts. */
function answer({ id }: ServiceEvent, failure: string | null): void {
  if (current?.id !== id) return;
  current = null;
  const message: NotifyAnswer = { id, failure };
  pipe.write(`${JSON.stringify(message)}\n`);
}
