# One process with four threads (mpm_event). It does not serve as root.
options=(--protocol http)
page
file apache2.conf << 'END'
ServerRoot {dir}
ServerName localhost
PidFile {dir}/pid
DefaultRuntimeDir {dir}
Listen 127.0.0.1:{port}
User www-data
Group www-data
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
LoadModule reqtimeout_module /usr/lib/apache2/modules/mod_reqtimeout.so
StartServers 1
ServerLimit 1
ThreadLimit 4
ThreadsPerChild 4
MaxRequestWorkers 4
DocumentRoot {dir}/www
ErrorLog /dev/stderr
END
command=(apache2 -DFOREGROUND -f '{dir}/apache2.conf')
# A child that cannot accept for want of a descriptor ends, and whoever is connected to it is cut off.
may 'warning' 'collateral' 'a child whose accept fails ends, with all of its clients'
