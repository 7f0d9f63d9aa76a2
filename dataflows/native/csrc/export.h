/* Marks what is called from outside of the library: by ctypes, and by librdkafka. The compiler hides the rest
 * (-fvisibility=hidden). */
#ifndef ADTALLY_EXPORT_H
#define ADTALLY_EXPORT_H

#define EXPORTED __attribute__((visibility("default")))

#endif
