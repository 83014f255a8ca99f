# The code that goes into the slack of a process's vDSO. Position independent. The displacements of the two calls, and the offset, are
# filled in when it is put there.
#
# The offset is two words, seconds and nanoseconds: the latter below 10^9, and a multiple of 1000.
    .pushsection .rodata.brokenpipe_hook, "a"
    .balign 16
    .globl brokenpipe_hook, brokenpipe_hook_offset, brokenpipe_hook_clock_gettime, brokenpipe_hook_clock_gettime_call
    .globl brokenpipe_hook_gettimeofday, brokenpipe_hook_gettimeofday_call, brokenpipe_hook_time, brokenpipe_hook_end
    .hidden brokenpipe_hook, brokenpipe_hook_offset, brokenpipe_hook_clock_gettime, brokenpipe_hook_clock_gettime_call
    .hidden brokenpipe_hook_gettimeofday, brokenpipe_hook_gettimeofday_call, brokenpipe_hook_time, brokenpipe_hook_end
brokenpipe_hook:
    .ascii "brokenp1"
brokenpipe_hook_offset:
    .quad 0
    .quad 0
    .balign 16
# int clock_gettime(clockid_t, struct timespec *)
brokenpipe_hook_clock_gettime:
    push %rdi
    push %rsi
    sub  $8, %rsp
    .byte 0xe8                  # call the vDSO's own
brokenpipe_hook_clock_gettime_call:
    .long 0
    add  $8, %rsp
    pop  %rsi
    pop  %rdi
    test %eax, %eax
    jnz  1f
    cmp  $11, %edi              # compared without sign: the negative clocks, of the processor time of others, are above
    ja   1f
    mov  $0xbf3, %ecx           # the clocks 0, 1, 4 to 9 and 11, but not those of processor time
    bt   %edi, %ecx
    jnc  1f
    mov  brokenpipe_hook_offset+8(%rip), %rdx
    mov  brokenpipe_hook_offset(%rip), %rcx
    add  8(%rsi), %rdx
    cmp  $1000000000, %rdx
    jb   2f
    sub  $1000000000, %rdx
    inc  %rcx
2:  add  %rcx, (%rsi)
    mov  %rdx, 8(%rsi)
1:  ret
    .balign 16
# int gettimeofday(struct timeval *, struct timezone *)
brokenpipe_hook_gettimeofday:
    push %rdi
    sub  $16, %rsp
    .byte 0xe8
brokenpipe_hook_gettimeofday_call:
    .long 0
    add  $16, %rsp
    pop  %rdi
    test %eax, %eax
    jnz  1f
    test %rdi, %rdi
    jz   1f
    mov  brokenpipe_hook_offset+8(%rip), %rax
    xor  %edx, %edx
    mov  $1000, %ecx
    div  %rcx
    mov  brokenpipe_hook_offset(%rip), %rcx
    add  8(%rdi), %rax
    cmp  $1000000, %rax
    jb   2f
    sub  $1000000, %rax
    inc  %rcx
2:  add  %rcx, (%rdi)
    mov  %rax, 8(%rdi)
    xor  %eax, %eax
1:  ret
    .balign 16
# time_t time(time_t *): by way of CLOCK_REALTIME_COARSE, so that the nanoseconds of the offset carry
brokenpipe_hook_time:
    push %rdi
    sub  $16, %rsp
    mov  $5, %edi
    mov  %rsp, %rsi
    call brokenpipe_hook_clock_gettime
    mov  (%rsp), %rax
    add  $16, %rsp
    pop  %rdi
    test %rdi, %rdi
    jz   1f
    mov  %rax, (%rdi)
1:  ret
brokenpipe_hook_end:
    .popsection
