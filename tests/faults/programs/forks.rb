# frozen_string_literal: true

# Forks so often while threads record and the native thread sends. Children of all kinds. Prints how
# many rows are to arrive: on a busy machine some may be dropped, and counted.
forks = Integer(ARGV.fetch(0))
done = false
counts = Array.new(3) do
  Thread.new do
    count = 0
    until done
      record(10)
      count += 10
      sleep(0.005)
    end
    count
  end
end
sending = Thread.new { flush && sleep(0.002) until done }

recorded = 0
forks.times do |number|
  kind = number % 5
  pid = fork do
    exit!(0) if kind.zero?
    record if kind != 1
    exec('true') if kind == 1
    end_well(fork { record && leave }) if kind == 2
    raise 'not its own' if kind != 1 && stats[:recorded] != 1

    leave
  end
  recorded += [0, 0, 2, 1, 1][kind]
  end_well(pid)
end
done = true
[*counts, sending].each(&:join)
flush or abort
puts recorded + counts.sum(&:value) - stats[:dropped_full]
