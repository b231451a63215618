# frozen_string_literal: true

# What puma serves, with the agent where DYNOSCALE_URL is set. TRUTH=FILE: at the end the file has
# how many ms each request was stamped ago when the app got it, by the app's own reckoning.

if ENV['DYNOSCALE_URL']
  require 'dynoscale_ruby/middleware'
  use DynoscaleRuby::Middleware
end

if ENV['TRUTH']
  seen = []
  at_exit { File.write(ENV['TRUTH'], seen.join("\n")) }
  run(lambda do |env|
    now = Process.clock_gettime(Process::CLOCK_REALTIME, :nanosecond)
    stamp = env['HTTP_X_REQUEST_START']
    seen << ((now - (stamp.delete_prefix('t=').to_r * 1_000_000_000)) / 1e6).to_f if stamp
    [200, { 'content-type' => 'text/plain' }, ["hello\n"]]
  end)
else
  run(->(_env) { [200, { 'content-type' => 'text/plain' }, ["hello\n"]] })
end
