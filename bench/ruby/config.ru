# frozen_string_literal: true

# The app that puma serves, with the agent if DYNOSCALE_URL is set. With TRUTH=FILE it reads the clock
# just before the agent does, and at the end writes to the file how many ms ago each request was
# stamped then.

if ENV['TRUTH']
  seen = []
  at_exit { File.write(ENV['TRUTH'], seen.join("\n")) }
  use(Class.new do
    define_method(:initialize) { |app| @app = app }
    define_method(:call) do |env|
      now = Process.clock_gettime(Process::CLOCK_REALTIME, :nanosecond)
      answer = @app.call(env)
      stamp = env['HTTP_X_REQUEST_START']
      seen << ((now - (stamp.delete_prefix('t=').to_r * 1_000_000_000)) / 1e6).to_f if stamp
      answer
    end
  end)
end

if ENV['DYNOSCALE_URL']
  require 'dynoscale_ruby/middleware'
  use DynoscaleRuby::Middleware
end

run(->(_env) { [200, { 'content-type' => 'text/plain' }, ["hello\n"]] })
