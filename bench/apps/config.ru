# The bench app for Puma.
require 'json'

run lambda { |env|
  if env['PATH_INFO'] == '/slow'
    sleep((env['QUERY_STRING'][/ms=(\d+)/, 1] || '200').to_i / 1000.0)
  end
  body = JSON.generate(pid: Process.pid)
  [200, { 'content-type' => 'application/json', 'content-length' => body.bytesize.to_s }, [body]]
}
