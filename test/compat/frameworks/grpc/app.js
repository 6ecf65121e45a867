import grpc from '@grpc/grpc-js';
import { service } from './service.js';

/** Never returns: the stack of a stuck worker has to name it. */
function blockForever() {
  for (;;);
}

const server = new grpc.Server();
server.addService(service, {
  echo: (call, callback) => callback(null, call.request),
  block: blockForever,
});
server.bindAsync(`127.0.0.1:${process.env.PORT}`, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
});
