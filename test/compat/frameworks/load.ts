/**
 * The load on one app, in a process of its own: ten clients, each with one request at a time. Started with the port, the
 * request as JSON, and the file of the framework's own clients if it has some. Says its counts when it is told to stop.
 */
import { pathToFileURL } from 'node:url';
import { pause } from '../../support/until.ts';
import { type Client, httpClient } from './http-client.ts';
import type { Request } from './table.ts';

/** What is told to this process. After `leaving` the service may refuse connections: it was told to stop. */
export type Order = 'leaving' | 'stop';

export interface Balance {
  readonly sent: number;
  readonly answered: number;
  readonly lost: number;
  /** Refused after the service was told to stop: nobody has taken the request. */
  readonly refused: number;
  /** The first losses, in words. */
  readonly details: readonly string[];
}

export type News = { readonly answered: number } | { readonly balance: Balance };

interface OwnClients {
  connect(port: number): Client;
}

const [port = 0, request = '{}', own = ''] = process.argv.slice(2);
let sent = 0;
let answered = 0;
let lost = 0;
let refused = 0;
const details: string[] = [];
let leaving = false;
let stopping = false;

const clients = own === '' ? overHttp() : await ownClients();
const loops = clients.map(run);
const progress = setInterval(() => tell({ answered }), 100);
process.on('message', (order: Order) => {
  if (order === 'leaving') leaving = true;
  else void end();
});
process.on('disconnect', () => process.exit());

function overHttp(): Client[] {
  const what = JSON.parse(request) as Request;
  return Array.from({ length: 10 }, (_, at) => httpClient(Number(port), what, at < 7));
}

async function ownClients(): Promise<Client[]> {
  const { connect } = (await import(pathToFileURL(own).href)) as OwnClients;
  return Array.from({ length: 10 }, () => connect(Number(port)));
}

async function run(client: Client): Promise<void> {
  while (!stopping) {
    sent++;
    try {
      await client.once();
      answered++;
    } catch (error) {
      note(error);
      await pause(20);
    }
    await pause(Math.random() * 20);
  }
  client.close();
}

function note(error: unknown): void {
  const text = error instanceof Error ? `${'code' in error ? String(error.code) : ''} ${error.message}` : String(error);
  if (leaving && /ECONNREFUSED/.test(text)) {
    refused++;
    return;
  }
  lost++;
  if (details.length < 5) details.push(text.trim());
}

async function end(): Promise<void> {
  stopping = true;
  await Promise.all(loops);
  clearInterval(progress);
  tell({ balance: { sent, answered, lost, refused, details } });
  process.disconnect();
}

function tell(news: News): void {
  process.send?.(news);
}
