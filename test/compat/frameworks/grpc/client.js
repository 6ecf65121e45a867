import grpc from '@grpc/grpc-js';
import { service } from './service.js';

const Client = grpc.makeGenericClientConstructor(service, 'Service');

export function connect(port) {
  const client = new Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
    // A channel for each client, as separate clients have.
    'grpc.use_local_subchannel_pool': 1,
  });
  let number = 0;
  const call = (name, message) =>
    new Promise((resolve, reject) => {
      client[name](Buffer.from(message), { deadline: Date.now() + 10_000 }, (error, answer) =>
        error ? reject(error) : resolve(answer.toString()),
      );
    });
  return {
    async once() {
      const message = String(++number);
      const answer = await call('echo', message);
      if (answer !== message) throw new Error(`got ${answer} for ${message}`);
    },
    async block() {
      await call('block', '');
    },
    close() {
      client.close();
    },
  };
}
