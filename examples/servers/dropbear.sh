# dropbear's own package would add a service.
package=dropbear-bin
say 'SSH-2.0-brokenpipe\r\n'
polite ask-ssh.sh
setup 'dropbearkey -t ed25519 -f {dir}/hostkey'
command=(dropbear -F -E -s -p '{port}' -r '{dir}/hostkey' -P '{dir}/pid')
expect 'warning' 'spin-while-short' 'while no descriptor is free it asks for the next client again and again'
