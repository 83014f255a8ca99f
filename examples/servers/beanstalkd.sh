# It asks epoll for EPOLLPRI, level-triggered, and nobody reads urgent data. One urgent byte, before, within or after a command: epoll_wait
# returns at once with EPOLLPRI alone, for ever, until that client sends anything more, closes or resets. It still serves the others. So it
# is seen only while the client is held, and at once.
say 'stats-job 1\r\n'
command=(beanstalkd -p '{port}')
expect 'finding' 'spin' 'an urgent byte, which it asks epoll about and never reads'
expect 'warning' 'spin-while-short' 'while no descriptor is free it asks for the next client again and again'
