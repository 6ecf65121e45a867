/**
 * Sees Socket.IO clients that poll: Engine.IO keeps a session in the memory of one worker, and the next request of the
 * client may reach any other, which answers that it does not know the session.
 */
import type { Channel } from '../channel.ts';
import type { Observer } from './observer.ts';
import type { Traffic } from './traffic.ts';

/**
 * Whether a request is of a session that exists already, as the Engine.IO protocol writes it: `EIO` is its version,
 * `sid` the session. https://github.com/socketio/engine.io-protocol
 */
function isOfSession(url: string): boolean {
  return /[?&]EIO=\d/.test(url) && /[?&]sid=/.test(url);
}

/** Tells the master once in this worker's life. A request costs a look at its URL, until the first of a session. */
export function watchPolling(traffic: Traffic, channel: Channel): void {
  let isWatching = false;
  let said = false;
  const ends: Observer = {
    onFinished({ url }, { statusCode }) {
      if (said || statusCode !== 400 || url === undefined || !isOfSession(url)) return;
      said = true;
      channel.send({ type: 'session-missed' });
    },
  };
  const beginnings: Observer = {
    onBegin({ url }) {
      if (isWatching || url === undefined || !url.includes('sid=') || !isOfSession(url)) return;
      isWatching = true;
      traffic.subscribe(ends);
    },
  };
  traffic.subscribe(beginnings);
}
