/** What is said to people of connections that move. */
import type { KeptReason, MigrationStatus } from './migration.ts';

const words: Readonly<Record<KeptReason, string>> = {
  tls: 'TLS',
  http2: 'HTTP/2',
  upgraded: 'upgraded',
  other: 'not HTTP',
  app: "the app's own state",
  address: 'no other worker listens there',
  busy: 'busy to the end',
};

/** One line: how many connections went to another worker, and why others did not. */
export function migrationText({ on, moved, lost, kept }: MigrationStatus): string {
  if (!on && moved === 0) return 'connections end with their worker (migration is off)';
  const reasons = Object.entries(kept).map(([reason, count]) => `${count} ${words[reason as KeptReason] ?? 'other'}`);
  const stayed = reasons.length === 0 ? '' : `; not moved: ${reasons.join(', ')}`;
  return `connections moved to another worker: ${moved}${lost === 0 ? '' : `, lost on the way: ${lost}`}${stayed}`;
}
