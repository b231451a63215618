# frozen_string_literal: true

# Says which request it answers; see tests/faults/served.py.
require 'json'
require 'dynoscale_ruby/middleware'

CALLS = ENV['CALLS']
VERBOSE = Object.new
%i[debug info warn error].each do |level|
  VERBOSE.define_singleton_method(level) { |text| $stderr.puts("#{level} #{text}") }
end
DynoscaleRuby.configure { |c| c.logger = VERBOSE }

# What is known of this process's agent.
def agent
  peak = File.read('/proc/self/status')[/^VmHWM:\s+(\d+) kB/, 1].to_i
  { pid: Process.pid, stats: DynoscaleRuby.stats, peak_kb: peak }.to_json
end

# Answers that are the server's to judge.
BROKEN = Object.new
def BROKEN.each
  yield "some, and then\n"
  raise 'of the app'
end
TEXT = { 'content-type' => 'text/plain' }.freeze
MISUSES = {
  '/nothing' => nil,
  '/short' => [200],
  '/wrongly' => ['x', nil, 5],
  '/broken' => [200, TEXT, BROKEN]
}.freeze

use DynoscaleRuby::Middleware

run(lambda do |env|
  path = env['PATH_INFO']
  next MISUSES[path] if MISUSES.key?(path)

  body =
    if path == '/agent' then agent
    else
      # Ground truth: a byte for each call, which a process that is killed has written all the same.
      File.open("#{CALLS}/#{Process.pid}", 'a') { |file| file.syswrite('.') } if CALLS
      raise 'of the app' if path == '/raise'

      sleep(env['QUERY_STRING'].to_f)
      "answer to #{path}\n"
    end
  [200, TEXT.merge('content-length' => body.bytesize.to_s), [body]]
end)
