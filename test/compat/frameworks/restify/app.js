import restify from 'restify';

/** Never returns: the stack of a stuck worker has to name it. */
function blockForever() {
  for (;;);
}

const server = restify.createServer();
server.get('/', async (_request, response) => {
  response.send('served');
});
server.get('/block', async () => blockForever());
server.listen(Number(process.env.PORT), '127.0.0.1');
