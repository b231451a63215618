# frozen_string_literal: true

# Counts requests that come as lines of JSON, lists of [start, queue start, body wait], and tells
# for each when it was made and what became of it.
REASONS = %i[missing malformed stale future].freeze

def headers_of(start, queue_start, body_wait)
  values = { 'HTTP_X_REQUEST_START' => start, 'HTTP_X_QUEUE_START' => queue_start }
  values.transform_values! { |text| text&.encode(Encoding::ISO_8859_1)&.b }
  values.merge('puma.request_body_wait' => body_wait).compact
end

def now
  Process.clock_gettime(Process::CLOCK_REALTIME, :nanosecond)
end

def outcome(env, reasons_before)
  queue_time_ms = env['dynoscale.queue_time_ms']
  return queue_time_ms if queue_time_ms

  after = stats
  REASONS.find { |reason| after[:"stamp_#{reason}"] > reasons_before[:"stamp_#{reason}"] }
end

while (line = $stdin.gets)
  said = JSON.parse(line).map do |values|
    env = headers_of(*values)
    reasons_before = stats
    before = now
    APP.call(env)
    [before, now, outcome(env, reasons_before)]
  end
  flush or abort stats.to_s
  puts said.to_json
  $stdout.flush
end
