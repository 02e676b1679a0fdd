import { ClientCertConfigError } from '../errors.js'
import type { AnyRequest } from './source.js'
import type { SynchronousGate } from './trusted-proxy.js'

/** What has to be said word for word, so that nobody opens this gate by copying a line without reading it. */
export const platformStatement = 'I have read that whoever reaches this port can be anybody'

/**
 * Admits every peer that has an address. For platforms that put their own proxy in front of an application and offer nothing to recognise
 * it by (Azure App Service, Cloud Run): everything rests on their network letting nobody else through. Warns at start-up.
 *
 * @param statement `'I have read that whoever reaches this port can be anybody'`
 * @example
 * platformNetwork('I have read that whoever reaches this port can be anybody')
 */
export function platformNetwork(statement: typeof platformStatement): SynchronousGate {
  if (statement !== platformStatement) {
    throw new ClientCertConfigError(
      `platformNetwork: believes every peer — prefer proxyAddress(), proxySecret() or proxyCertificate(); if your platform offers none of them: platformNetwork('${platformStatement}')`,
    )
  }
  process.emitWarning(
    'platformNetwork(): whoever reaches this port can be anybody — only the network of your platform stands before it',
    { type: 'MtlsIdentityWarning', code: 'MTLS_PLATFORM_NETWORK' },
  )
  return Object.freeze({
    description: 'platformNetwork(…)',
    admits: ({ socket }: AnyRequest) => socket?.remoteAddress !== undefined,
  })
}
