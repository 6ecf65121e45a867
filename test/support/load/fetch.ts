/** Node's own `fetch`, which is undici: what most apps call others with. It keeps connections in a pool of the process. */
import { subscribe } from 'node:diagnostics_channel';
import { addressOf } from '../request.ts';
import { whenLate } from '../slowness.ts';
import { Client, classify, tagged } from './client.ts';
import type { Tally } from './tally.ts';

/** By port: whose connections those of the pool are. The first group that names a port has them all. */
const owners = new Map<string, Tally>();
let isCounting = false;

/** See `undici:client:connected` in undici's docs, DiagnosticsChannel. */
function countConnections(): void {
  if (isCounting) return;
  isCounting = true;
  subscribe('undici:client:connected', (message) => {
    const { connectParams } = message as { readonly connectParams: { readonly port: string } };
    const owner = owners.get(String(connectParams.port));
    if (owner !== undefined) owner.connections++;
  });
}

export class FetchClient extends Client {
  protected async once(): Promise<boolean> {
    const address = addressOf(this.target);
    if (!('port' in address) || this.target.secure === true) throw new Error('fetch goes to TCP without TLS');
    countConnections();
    if (!owners.has(String(address.port))) owners.set(String(address.port), this.tally);
    const call = tagged(this.options.path ?? '/pid');
    const ticket = this.tally.begin();
    const abort = new AbortController();
    let gotHead = false;
    const cancel = whenLate(this.timeout, () => abort.abort());
    try {
      const response = await fetch(`http://${address.host}:${address.port}${call.path}`, { signal: abort.signal });
      gotHead = true;
      const body = Buffer.from(await response.arrayBuffer());
      const who = response.status === 200 ? call.check(body) : null;
      if (who !== null) {
        this.tally.answer(ticket, who);
        return true;
      }
      const failure = response.status >= 500 ? 'http-5xx' : response.status === 200 ? 'wrong-body' : 'other';
      this.tally.fail(ticket, failure, `fetch: ${response.status} ${body.toString('latin1').slice(0, 200)}`);
      return false;
    } catch (error) {
      const cause = causeOf(error);
      const failure = abort.signal.aborted ? 'client-timeout' : classify(cause, gotHead);
      this.tally.fail(ticket, failure, `fetch: ${cause.code ?? ''} ${cause.message}`);
      return false;
    } finally {
      cancel();
    }
  }
}

/** `fetch failed` says nothing; its cause does. */
function causeOf(error: unknown): NodeJS.ErrnoException {
  if (!(error instanceof Error)) return new Error(String(error));
  return error.cause instanceof Error ? error.cause : error;
}
