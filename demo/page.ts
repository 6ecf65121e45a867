/** The page that documents the service, for people who open it in a browser. */

const routes: readonly (readonly [string, string, string])[] = [
  ['GET', '/pastes', 'the newest pastes; <code>?limit=1..100</code>, <code>?before=id</code> for the next page'],
  [
    'POST',
    '/pastes',
    'add one: JSON with <code>title</code>, <code>text</code> and, if you like, <code>language</code>',
  ],
  ['GET', '/pastes/:id', 'one paste; <code>/raw</code> gives only its text'],
  ['DELETE', '/pastes/:id', 'remove one'],
  ['GET', '/pastes.ndjson', 'all of them, a line each, streamed'],
  ['GET', '/events', 'a tick a second as server-sent events; they feed the line above'],
  ['GET', '/version', 'the version, and the worker that answered'],
  ['GET', '/healthz', '200 while the service is well'],
];

export function indexPage(version: string, pid: number): string {
  const rows = routes.map(([method, path, what]) => `<tr><td>${method}<td><code>${path}</code><td>${what}`);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Pastes</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem; }
  td { padding: .15rem .8rem .15rem 0; vertical-align: top; }
  output { font-family: ui-monospace, monospace; }
  pre { background: #8881; padding: .8rem; overflow-x: auto; }
</style>
<h1>Pastes</h1>
<p>A small paste service, version ${version}. This page came from worker ${pid}; the ticker comes from
<output id="tick">&hellip;</output></p>
<table>${rows.join('\n')}</table>
<p>Add one, then reload the service while you watch the ticker:</p>
<pre>curl -s 127.0.0.1:8000/pastes -H 'content-type: application/json' -d '{"title":"hi","text":"there"}'
kill -HUP $(cat demo/prefork.pid)</pre>
<script>
  new EventSource('/events').onmessage = ({ data }) => {
    const { pid, version, requests, pastes } = JSON.parse(data);
    document.getElementById('tick').textContent =
      'worker ' + pid + ', version ' + version + ', ' + requests + ' requests served, ' + pastes + ' pastes';
  };
</script>
`;
}
