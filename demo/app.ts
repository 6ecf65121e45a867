/** The routes of the paste service. */
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import Fastify, { type FastifyInstance } from 'fastify';
import { indexPage } from './page.ts';
import type { NewPaste, PasteStore } from './store.ts';

const newPaste = {
  type: 'object',
  required: ['title', 'text'],
  additionalProperties: false,
  properties: {
    title: { type: 'string', minLength: 1, maxLength: 120 },
    language: { type: 'string', pattern: '^[a-z0-9+#-]{1,20}$', default: 'text' },
    text: { type: 'string', minLength: 1, maxLength: 64 * 1024 },
  },
} as const;

const listQuery = {
  type: 'object',
  properties: {
    limit: { type: 'integer', minimum: 1, maximum: 100, default: 20 },
    before: { type: 'string', maxLength: 16 },
  },
} as const;

/** Events end after this long; an EventSource comes back by itself, to a newer worker if there is one. */
const eventsFor = 15_000;

export function buildApp(store: PasteStore, version: string): FastifyInstance {
  const app = Fastify({ logger: false, forceCloseConnections: false });
  const startedAt = new Date().toISOString();
  const closing = new AbortController();
  let requests = 0;

  app.addHook('onRequest', async () => {
    requests++;
  });

  // Whoever listens to the ticker is told that this worker is going, instead of being cut off.
  app.addHook('preClose', async () => closing.abort());

  app.get('/', async (_request, reply) => reply.type('text/html').send(indexPage(version, process.pid)));

  app.get('/healthz', async () => ({ ok: true }));

  app.get('/version', async () => ({ version, pid: process.pid, node: process.version, startedAt }));

  app.get<{ Querystring: { limit: number; before?: string } }>(
    '/pastes',
    { schema: { querystring: listQuery } },
    async (request) => await store.list(request.query.limit, request.query.before ?? null),
  );

  app.post<{ Body: NewPaste }>('/pastes', { schema: { body: newPaste } }, async (request, reply) => {
    const paste = await store.add(request.body);
    return await reply.code(201).header('location', `/pastes/${paste.id}`).send(paste);
  });

  app.get<{ Params: { id: string } }>('/pastes/:id', async (request, reply) => {
    const paste = await store.get(request.params.id);
    return paste ?? (await reply.code(404).send({ error: 'there is no such paste' }));
  });

  app.get<{ Params: { id: string } }>('/pastes/:id/raw', async (request, reply) => {
    const paste = await store.get(request.params.id);
    if (paste === null) return await reply.code(404).type('text/plain').send('there is no such paste\n');
    return await reply.type('text/plain').header('x-content-type-options', 'nosniff').send(paste.text);
  });

  app.delete<{ Params: { id: string } }>('/pastes/:id', async (request, reply) => {
    const removed = await store.remove(request.params.id);
    return await reply.code(removed ? 204 : 404).send();
  });

  // A line per paste, read from the disk as fast as the client takes them.
  app.get('/pastes.ndjson', async (_request, reply) => {
    const lines = async function* (): AsyncGenerator<string> {
      for await (const paste of store.all()) yield `${JSON.stringify(paste)}\n`;
    };
    return await reply.type('application/x-ndjson').send(Readable.from(lines()));
  });

  app.get('/events', async (_request, reply) => {
    const ticks = async function* (): AsyncGenerator<string> {
      yield 'retry: 500\n\n';
      const end = performance.now() + eventsFor;
      while (performance.now() < end && !closing.signal.aborted) {
        const tick = { pid: process.pid, version, requests, pastes: await store.count() };
        yield `data: ${JSON.stringify(tick)}\n\n`;
        await sleep(1000, undefined, { signal: closing.signal }).catch(() => undefined);
      }
    };
    return await reply.type('text/event-stream').header('cache-control', 'no-store').send(Readable.from(ticks()));
  });

  return app;
}
