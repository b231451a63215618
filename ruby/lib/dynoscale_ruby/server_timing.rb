# frozen_string_literal: true

module DynoscaleRuby
  # The answer header of the setting server_timing, which browsers' developer tools show:
  #
  #   server-timing: queue;dur=12
  #
  # Called by the middleware, where the setting is on and the request had a usable stamp.
  module ServerTiming
    NAME = 'server-timing'

    class << self
      # An answer like the one given, with the header; the app's own value of it is kept. What the
      # app gave is not changed: it may be a constant, or frozen. The answer itself where it is none
      # of Rack's, or the connection has been taken over. Raises nothing.
      def add(answer, milliseconds)
        return answer unless answer.is_a?(Array) && answer[1].is_a?(Hash) && answer[0].to_i >= 200

        answer.dup.tap { |copy| copy[1] = with_entry(answer[1].dup, "queue;dur=#{milliseconds}") }
      rescue StandardError
        answer
      end

      private

      # Rack 2 has names in any case and Rack 3 in lower case, in a Hash or a kind of it that does
      # not mind. Several values of a header are an Array in Rack 3, and lines in Rack 2.
      def with_entry(headers, entry)
        name = headers.each_key.find { |key| key.is_a?(String) && key.casecmp?(NAME) }
        own = headers[name] if name
        headers[name || NAME] =
          case own
          when nil, '' then entry
          when Array then [*own, entry]
          else "#{own}, #{entry}"
          end
        headers
      end
    end
  end
end
