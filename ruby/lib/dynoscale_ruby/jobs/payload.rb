# frozen_string_literal: true

require 'json'

module DynoscaleRuby
  module Jobs
    # A job in Redis, in JSON. Only both ends are fetched: its arguments may be of any size, and are
    # private. The keys that say when and where a job waits stand before or after them.
    class Payload
      # Bytes of each end.
      EDGE = 1024

      # Redis cuts the jobs by this function, for scripts that answer with them.
      CUT = <<~LUA
        local function cut(job)
          if #job <= #{2 * EDGE} then return {job} end
          return {job:sub(1, #{EDGE}), job:sub(-#{EDGE})}
        end
      LUA

      STRING = /"(?:[^"\\]|\\.)*"/mn.freeze

      # Some text of the beginning, and of the end if there is more.
      def initialize(head, tail = nil)
        @head = head.b
        @tail = tail&.b
        @whole = JSON.parse(head) unless tail
      rescue JSON::ParserError, EncodingError
        @whole = nil
      end

      # The value of one of the job's own keys: a String or a number; nil if absent or too far from
      # both ends.
      def [](key)
        return (@whole[key] if @whole.is_a?(Hash)) unless @tail

        value = in_head(key) || in_tail(key)
        value && JSON.parse("[#{value.force_encoding(Encoding::UTF_8)}]").first
      rescue JSON::ParserError, EncodingError
        nil
      end

      # A key's number, for example epoch seconds, which some write as text.
      def number(key)
        value = self[key]
        value = Float(value, exception: false) if value.is_a?(String)
        value if value.is_a?(Numeric)
      end

      # The whole job if it was short enough to be fetched, else nil.
      attr_reader :whole

      # What the pattern matches at the end of a job.
      def at_end(pattern)
        (@tail || @head).match(pattern)
      end

      private

      def places(text, key)
        pattern = /"#{Regexp.escape(key)}":\s*(#{STRING}|-?\d[\d.eE+-]*)(?=[,}\s])/mn
        from = 0
        while (found = text.match(pattern, from))
          yield found
          from = found.end(0)
        end
      end

      # It is the job's own key if one more bracket is opened before it than closed.
      def in_head(key)
        places(@head, key) { |found| return found[1] if depth(found.pre_match) == 1 }
        nil
      end

      # And if one more bracket is closed after it than opened.
      def in_tail(key)
        places(@tail, key) { |found| return found[1] if depth(found.post_match) == -1 }
        nil
      end

      def depth(text)
        text = text.gsub(STRING, '')
        text.count('{[') - text.count('}]')
      end
    end
  end
end
