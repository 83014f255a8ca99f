# Three threads. It does not run as root.
options=(--protocol http)
file icecast.xml << 'END'
<icecast>
    <limits><clients>1000</clients><sources>2</sources><client-timeout>600</client-timeout><header-timeout>600</header-timeout></limits>
    <authentication><source-password>x</source-password><admin-user>x</admin-user><admin-password>x</admin-password></authentication>
    <hostname>localhost</hostname>
    <listen-socket><port>{port}</port><bind-address>127.0.0.1</bind-address></listen-socket>
    <fileserve>1</fileserve>
    <paths><basedir>/usr/share/icecast2</basedir><logdir>{dir}</logdir><webroot>/usr/share/icecast2/web</webroot><adminroot>/usr/share/icecast2/admin</adminroot></paths>
    <logging><accesslog>-</accesslog><errorlog>-</errorlog><loglevel>1</loglevel></logging>
    <security><chroot>0</chroot><changeowner><user>nobody</user><group>nogroup</group></changeowner></security>
</icecast>
END
setup 'chmod 777 {dir}'
say 'GET /status-json.xsl HTTP/1.0\r\n\r\n' 'GET / HTTP/1.0\r\n\r\n' 'SOURCE /x HTTP/1.0\r\n\r\n'
options+=(--polite 'curl -s -o /dev/null http://127.0.0.1:{port}/status-json.xsl')
package+=(curl)
command=(icecast2 -c '{dir}/icecast.xml')
