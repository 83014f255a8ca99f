# CONNECT without a name, a PINGREQ after it, and a SUBSCRIBE to everything.
connect='\x10\x0c\0\x04MQTT\x04\x02\0\0\0\0'
say "$connect" "$connect\\xc0\\0" "$connect\\x82\\x06\\0\\x01\\0\\x01#\\0"
polite ask-mqtt.sh
file mosquitto.conf << 'END'
listener {port}
allow_anonymous true
persistence false
user root
log_dest stderr
END
command=(mosquitto -c '{dir}/mosquitto.conf')
