/** Ports for programs that have to be told one: they cannot listen at port 0 and say which it was. */
import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below those that systems give to outgoing connections (32,768 and up): one of these could be taken before the program that is told it listens. */
const firstPort = 20_000
const ports = 12_000
/** Far from those of another worker, whose process has the next number. */
let nextPort = (process.pid * 97) % ports

/** A port nobody listens at, and each time another one. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    nextPort = (nextPort + 1) % ports
    const port = firstPort + nextPort
    const server = createServer()
    try {
      await once(server.listen(port, '127.0.0.1'), 'listening')
      return port
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    } finally {
      if (server.listening) await new Promise((resolve) => server.close(resolve))
    }
  }
  throw new Error('no port is free')
}
