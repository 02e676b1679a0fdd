import type { AnyRequest } from './source.js'
import type { SynchronousGate } from './trusted-proxy.js'

/**
 * Admits whoever reaches a server that listens on a path of the file system: its permissions are the gate. A peer without an address passes
 * no other gate, and one of a server that listens on an address does not pass this one. Names of Linux' abstract namespace have no
 * permissions and are not admitted.
 *
 * @example
 * forwardedHeader({ preset: 'haproxy', from: unixSocket() }) // server.listen('/run/app/app.sock')
 */
export function unixSocket(): SynchronousGate {
  return Object.freeze({
    description: 'unixSocket()',
    admits: ({ socket }: AnyRequest) => listensOnPath(socket),
    describe: () => ({ kind: 'unixSocket' }),
  })
}

function listensOnPath(socket: unknown): boolean {
  const { server, remoteAddress } = (socket ?? {}) as {
    server?: { address?: () => unknown }
    remoteAddress?: string
  }
  if (remoteAddress !== undefined || typeof server?.address !== 'function') return false
  const address = server.address()
  return typeof address === 'string' && address !== '' && !address.startsWith('\0')
}
