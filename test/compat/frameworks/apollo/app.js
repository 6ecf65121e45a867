import { ApolloServer } from '@apollo/server';
import { startStandaloneServer } from '@apollo/server/standalone';

/** Never returns: the stack of a stuck worker has to name it. */
function blockForever() {
  for (;;);
}

const server = new ApolloServer({
  typeDefs: `
    type Query {
      greeting: String
      block: String
    }
  `,
  resolvers: { Query: { greeting: () => 'served', block: blockForever } },
});
await startStandaloneServer(server, { listen: { port: Number(process.env.PORT), host: '127.0.0.1' } });
