/** The page: takes what the master sends, and shows it. */
import { span } from '../protocol/figures-text.ts';
import { firstDrift, generationText } from '../protocol/release-text.ts';
import { progressText, verdictText } from '../protocol/reload-text.ts';
import type { Status } from '../protocol/status.ts';
import { Connection, type Link } from './connection.ts';
import { element, part, setAttribute, setText } from './dom.ts';
import { EntriesView } from './entries.ts';
import { History } from './history.ts';
import { InFlightView } from './in-flight.ts';
import { PoolView } from './pool.ts';
import { TotalsView } from './totals.ts';
import { WorkersView } from './workers.ts';

const history = new History();
const totals = new TotalsView(part('totals'));
const workers = new WorkersView(() => draw());
const pool = new PoolView(part('pool'), part('legend'), (slot) => workers.choose(slot));
const entries = new EntriesView();
const inFlight = new InFlightView();
const pause = part('pause');
const icon = document.querySelector<HTMLLinkElement>('link[rel="icon"]');

let status: Status | null = null;
let link: Link = { state: 'connecting' };
let isPaused = false;
let isDue = false;

/** Draws at most once a frame, and not at all while the page is hidden. */
function redraw(): void {
  if (isDue || isPaused) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    draw();
  });
}

function draw(): void {
  entries.show();
  if (status === null) return;
  showHeader(status);
  showBanner(status);
  totals.show(status, history);
  pool.show(status);
  workers.show(status, history);
  inFlight.show();
}

function showHeader(now: Status): void {
  setText(part('name'), now.name);
  const tone = now.health === 'healthy' ? 'good' : now.health === 'degraded' ? 'fair' : 'bad';
  setText(
    part('state'),
    now.state === 'running' ? now.health.replace('_', ' ') : `${now.state}, ${now.health.replace('_', ' ')}`,
  );
  setAttribute(part('state'), 'data-tone', now.state === 'stopping' ? 'bad' : tone);
  const { reload, generation, releases, pid, uptime, prefork, node, listeners } = now;
  const facts = [
    generationText(generation, releases),
    `up ${span(uptime)}`,
    `pid ${pid}`,
    ...(listeners.length === 0 ? [] : [listeners.map(({ address }) => address).join(', ')]),
    `prefork ${prefork}`,
    `Node ${node.replace(/^v/, '')}`,
    ...(reload.last === null ? [] : [`last reload ${reload.last.verdict} in ${reload.last.duration.toFixed(2)} s`]),
  ];
  const about = part('about');
  if (about.textContent !== facts.join('')) about.replaceChildren(...facts.map((fact) => element('span', {}, [fact])));
  document.title = `${now.ready}/${now.wanted} ${now.name} - prefork`;
  const color = { good: '%231a7f4b', fair: '%23b26a00', bad: '%23c4314b' }[tone];
  const image = `data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'%3E%3Ccircle cx='4' cy='4' r='4' fill='${color}'/%3E%3C/svg%3E`;
  if (icon !== null) setAttribute(icon, 'href', image);
}

function showBanner(now: Status): void {
  const { reload, state } = now;
  const banner = part('banner');
  const [tone, text] = ((): readonly [string, string] => {
    if (link.state === 'lost') {
      if (state === 'stopping') return ['bad', 'The service has stopped. This page goes on when it is back.'];
      return ['bad', `No connection for ${link.seconds} s: what is shown is old. Trying again.`];
    }
    if (link.state === 'silent')
      return ['bad', `The master has said nothing for ${link.seconds} s: what is shown is old.`];
    if (state === 'dormant') return ['fair', 'All workers were retired (WINCH); a reload brings them back.'];
    const { running, last } = reload;
    if (running !== null)
      return ['info', `Reload ${running.reload}: ${progressText(now)}, for ${span(running.uptime)}.`];
    if (last !== null && last.verdict !== 'completed')
      return ['bad', `Reload ${last.reload} ${verdictText[last.verdict]}: ${last.reason ?? 'no reason given'}`];
    const drift = firstDrift(now.releases);
    return drift === null ? ['info', ''] : ['fair', `${drift}.`];
  })();
  setAttribute(banner, 'data-tone', tone);
  setText(banner, text);
  banner.hidden = text === '';
}

function showLink(): void {
  const words = { connecting: 'connecting', live: 'live', silent: 'no news', lost: 'no connection' };
  const node = part('link');
  setText(node, isPaused ? 'paused' : words[link.state]);
  setAttribute(node, 'data-state', isPaused ? 'paused' : link.state);
  setAttribute(document.body, 'data-old', String(link.state === 'silent' || link.state === 'lost'));
}

pause.addEventListener('click', () => {
  isPaused = !isPaused;
  setAttribute(pause, 'aria-pressed', String(isPaused));
  setText(pause, isPaused ? 'Go on' : 'Pause');
  showLink();
  redraw();
});

new Connection({
  onHello: (isSame) => {
    if (isSame) return;
    history.clear();
    entries.clear();
  },
  onStatus: (now) => {
    status = now;
    history.add(now, performance.now());
    redraw();
  },
  onRequests: (requests) => {
    inFlight.take(requests);
    redraw();
  },
  onEntry: (entry) => {
    entries.add(entry);
    redraw();
  },
  onLink: (now) => {
    link = now;
    showLink();
    redraw();
  },
}).start();
