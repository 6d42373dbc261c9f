# Performs the ActiveJob in each line, a payload, as a worker does, and answers with its positional and its
# keyword arguments, or with the error.
require 'active_job'
require 'json'

ActiveJob::Base.logger = nil

class ReportJob < ActiveJob::Base
  def perform(*positional, **keywords)
    [positional, keywords]
  end
end

STDIN.each_line do |payload|
  answer = begin
    ActiveJob::Base.execute(JSON.parse(payload)['args'].first)
  rescue StandardError => e
    "#{e.class}: #{e.message}"
  end
  puts JSON.generate(answer)
end
