import { descriptionOf } from '../description.js'
import { ClientCertConfigError, refuseUnknownOptions } from '../errors.js'
import type { ForwardedHeaderSource } from './forwarded-header.js'
import type { AnyRequest, CertificateSource, Reading } from './source.js'

export interface ByPeerOptions {
  /** Answers for peers its gate admits: `forwardedHeader({ … })`. */
  proxy: ForwardedHeaderSource
  /** Answers for everybody else: `tlsSocket()`, or another `byPeer()`. */
  direct: CertificateSource
}

/**
 * Two ways in, one source for each request: chosen by who is speaking, never by which one is empty. A proxy that sent no certificate has a
 * client without one, whatever the proxy's own certificate says; a direct peer that sends a certificate header is refused.
 *
 * Connections without requests (`authenticateSocket`) have no source here, because gates judge requests: give those an authenticator of
 * their own.
 *
 * @example
 * byPeer({ proxy: forwardedHeader({ preset: 'nginx', from: proxyAddress('10.0.3.7') }), direct: tlsSocket() })
 */
export function byPeer(options: ByPeerOptions): CertificateSource {
  if (typeof options !== 'object' || options === null) {
    throw new ClientCertConfigError('byPeer: expected { proxy: forwardedHeader({ … }), direct: tlsSocket() }')
  }
  refuseUnknownOptions('byPeer', options, ['proxy', 'direct'])
  const { proxy, direct } = options
  if (typeof proxy?.readAdmitted !== 'function' || typeof proxy.from?.admits !== 'function') {
    throw new ClientCertConfigError('byPeer: proxy is a forwardedHeader({ … }), whose gate says who the proxy is')
  }
  if (typeof direct?.read !== 'function') throw new ClientCertConfigError('byPeer: direct is a source — tlsSocket()')
  if ((direct as unknown) === proxy) throw new ClientCertConfigError('byPeer: proxy and direct are the same source')

  function readBy(request: AnyRequest, at: number, isProxy: boolean): Reading | Promise<Reading> {
    if (isProxy === true) return proxy.readAdmitted(request)
    proxy.refuseFields(request)
    return direct.read(request, at)
  }

  return Object.freeze({
    name: `${proxy.name} from the proxy, ${direct.name} from others`,
    fields: Object.freeze([...new Set([...proxy.fields, ...(direct.fields ?? [])])]),
    headerOctets: Math.max(proxy.headerOctets ?? 0, direct.headerOctets ?? 0),
    read(request: AnyRequest, at: number) {
      const admitted = proxy.from.admits(request, at)
      return typeof admitted === 'object'
        ? Promise.resolve(admitted).then((isProxy) => readBy(request, at, isProxy))
        : readBy(request, at, admitted)
    },
    describe: () => ({
      kind: 'byPeer',
      proxy: descriptionOf(proxy, proxy.name),
      direct: descriptionOf(direct, direct.name),
    }),
  })
}
