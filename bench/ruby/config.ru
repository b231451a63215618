# frozen_string_literal: true

# What puma serves, with the agent where DYNOSCALE_URL is set. TRUTH=FILE: at the end the file has
# how many ms ago each request was stamped when the server handed it over, by a clock of its own
# that is read just before the agent reads its.

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
