/** What giving and taking have in common. */
import type { Server } from 'node:net';
import type { QueueDescriptors } from '../../protocol/migration.ts';
import type { Channel } from '../channel.ts';
import type { Traffic } from '../traffic/traffic.ts';

/** Where connections come from and go to: the listeners of this worker. */
export interface Places {
  /** The listener that a server accepts from or did, by its key; `null` if it never did. */
  listenerOf(server: Server): string | null;
  serverOf(listener: string): Server | null;
  /** Whether a server takes a further connection. */
  hasRoom(server: Server): boolean;
}

export interface MigrationParts {
  readonly channel: Channel;
  readonly traffic: Traffic;
  readonly places: Places;
  /** `null` if there is no queue. */
  readonly descriptors: QueueDescriptors | null;
}

/** What is sent with a connection. */
export interface Sent {
  /** Key of the listener that it was accepted from. */
  readonly listener: string;
  /** How often it was put back by workers that could not serve it. */
  readonly hops: number;
}
