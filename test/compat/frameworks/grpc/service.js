/** A service of two calls, without a compiler: messages are their own bytes. */
const bytes = { requestSerialize: Buffer.from, requestDeserialize: Buffer.from };
const back = { responseSerialize: Buffer.from, responseDeserialize: Buffer.from };
const unary = { requestStream: false, responseStream: false, ...bytes, ...back };

export const service = {
  echo: { path: '/compat.Service/Echo', ...unary },
  block: { path: '/compat.Service/Block', ...unary },
};
