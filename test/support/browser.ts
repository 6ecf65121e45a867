/** A real headless Chromium, over its DevTools protocol. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import WebSocket from 'ws';
import { until } from './until.ts';

type Params = Readonly<Record<string, unknown>>;
type Message = Readonly<Record<string, unknown>>;

/** @returns the browser's path, or `null` where there is none */
export function findChromium(): string | null {
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    const { status, stdout } = spawnSync('/bin/sh', ['-c', `command -v ${name}`], { encoding: 'utf8' });
    if (status === 0) return stdout.trim();
  }
  return null;
}

/** Why a test of the page cannot run here, or `false`. */
export function withoutBrowser(): string | false {
  return findChromium() === null ? 'needs chromium' : false;
}

export interface Look {
  readonly width: number;
  readonly height: number;
  readonly scheme?: 'light' | 'dark';
  readonly mobile?: boolean;
}

/** A page of it. What the page asks for, logs and throws is kept. */
export class Page {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (message: Message) => void>();
  #seq = 0;
  /** Every address that was asked for. */
  readonly requested: string[] = [];
  /** Errors, warnings and violations of the content security policy. */
  readonly complaints: string[] = [];

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data) => this.#take(JSON.parse(String(data)) as Message));
  }

  async send(method: string, params: Params = {}): Promise<Message> {
    this.#seq += 1;
    const id = this.#seq;
    const answer = new Promise<Message>((resolve) => this.#waiting.set(id, resolve));
    this.#socket.send(JSON.stringify({ id, method, params }));
    const { error, result } = await answer;
    if (error !== undefined) throw new Error(`${method}: ${JSON.stringify(error)}`);
    return result as Message;
  }

  /** The value of an expression in the page. */
  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', {
      expression,
      returnByValue: true,
      awaitPromise: true,
    });
    if (exceptionDetails !== undefined) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`);
    return (result as { value: T }).value;
  }

  async look({ width, height, scheme = 'light', mobile = false }: Look): Promise<void> {
    await this.send('Emulation.setDeviceMetricsOverride', {
      width,
      height,
      deviceScaleFactor: mobile ? 2 : 1,
      mobile,
    });
    await this.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
  }

  async open(url: string): Promise<void> {
    await this.send('Page.navigate', { url });
  }

  /** @param key as `KeyboardEvent.key` says it, such as `Tab` */
  async press(key: string): Promise<void> {
    const codes: Readonly<Record<string, number>> = {
      Tab: 9,
      Enter: 13,
      ArrowLeft: 37,
      ArrowRight: 39,
      ArrowDown: 40,
      End: 35,
    };
    const text = key === 'Enter' ? { text: '\r' } : {};
    for (const type of ['keyDown', 'keyUp'])
      await this.send('Input.dispatchKeyEvent', {
        type,
        key,
        code: key,
        windowsVirtualKeyCode: codes[key] ?? 0,
        ...text,
      });
  }

  async screenshot(path: string, full = false): Promise<void> {
    const { data } = await this.send('Page.captureScreenshot', { format: 'png', captureBeyondViewport: full });
    writeFileSync(path, Buffer.from(String(data), 'base64'));
  }

  #take(message: Message): void {
    if (typeof message.id === 'number') {
      this.#waiting.get(message.id)?.(message);
      this.#waiting.delete(message.id);
      return;
    }
    const params = (message.params ?? {}) as Record<string, Record<string, unknown>>;
    if (message.method === 'Network.requestWillBeSent') this.requested.push(String(params.request?.url));
    if (message.method === 'Runtime.exceptionThrown') this.complaints.push(JSON.stringify(params.exceptionDetails));
    if (message.method === 'Log.entryAdded') this.complaints.push(`${params.entry?.source}: ${params.entry?.text}`);
    if (message.method === 'Runtime.consoleAPICalled') this.complaints.push(JSON.stringify(params.args));
  }
}

/** Starts a browser for one test, and ends it with all its processes. */
export async function startBrowser(t: TestContext): Promise<Page> {
  // A browser that does not come up is not what is tested here.
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await tryBrowser(t);
    } catch (error) {
      if (attempt === 3) throw error;
    }
  }
}

async function tryBrowser(t: TestContext): Promise<Page> {
  const folder = mkdtempSync(join(tmpdir(), 'prefork-chromium-'));
  const flags = [
    '--headless=new',
    '--remote-debugging-port=0',
    `--user-data-dir=${folder}`,
    '--no-first-run',
    '--disable-gpu',
    '--disable-dev-shm-usage',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-extensions',
    '--hide-scrollbars',
    '--lang=en-GB',
    // The sandbox does not work for root; it shows only our own page.
    ...(process.geteuid?.() === 0 ? ['--no-sandbox'] : []),
    'about:blank',
  ];
  const child = spawn(findChromium() ?? 'chromium', flags, {
    stdio: 'ignore',
    detached: true,
    env: { ...process.env, HOME: folder, DBUS_SESSION_BUS_ADDRESS: 'disabled:' },
  });
  t.after(() => end(child, folder));
  const port = await until(
    'the browser',
    () => readFileSync(join(folder, 'DevToolsActivePort'), 'utf8').split('\n')[0],
    {
      within: 60_000,
      abort: () => (child.exitCode === null ? null : `it ended with ${child.exitCode}`),
    },
  );
  const target = await until(
    'a page',
    async () => {
      const list = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as Record<string, string>[];
      return list.find(({ type }) => type === 'page')?.webSocketDebuggerUrl;
    },
    { within: 30_000 },
  );
  const socket = new WebSocket(target, { maxPayload: 200 * 2 ** 20 });
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  socket.on('error', () => {});
  t.after(() => socket.terminate());
  const page = new Page(socket);
  for (const domain of ['Page', 'Runtime', 'Network', 'Log']) await page.send(`${domain}.enable`);
  return page;
}

/** The whole process group, which is its own. */
async function end(child: ChildProcess, folder: string): Promise<void> {
  const { pid } = child;
  const isLeft = (): boolean => {
    try {
      if (pid !== undefined) process.kill(-pid, 'SIGKILL');
      return pid !== undefined;
    } catch {
      return false;
    }
  };
  await until('the browser to end', () => !isLeft(), { within: 15_000 });
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}
