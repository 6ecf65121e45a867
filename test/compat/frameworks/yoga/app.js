import { createServer } from 'node:http';
import { createSchema, createYoga } from 'graphql-yoga';

/** Never returns: the stack of a stuck worker has to name it. */
function blockForever() {
  for (;;);
}

const yoga = createYoga({
  logging: false,
  schema: createSchema({
    typeDefs: `
    type Query {
      greeting: String
      block: String
    }
    `,
    resolvers: { Query: { greeting: () => 'served', block: blockForever } },
  }),
});
createServer(yoga).listen(Number(process.env.PORT), '127.0.0.1');
