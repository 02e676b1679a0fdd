// What the examples start with: the files named on the command line, or certificates that last until the program ends.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const port = Number(process.env.PORT ?? 8443)

/** `[clients-ca.pem server.key server.crt]` → { trust, key, cert, port } */
export async function certificates() {
  const [trust, key, cert] = process.argv.slice(2)
  if (trust === undefined) return throwAway()
  if (cert === undefined) throw new Error('usage: node EXAMPLE.mjs [clients-ca.pem server.key server.crt]')
  return { trust, key: readFileSync(key), cert: readFileSync(cert), port }
}

async function throwAway() {
  const { createTestPki } = await import('mtls-identity/testing')
  const pki = await createTestPki({ name: 'Example' })
  const alice = await pki.issue({ subject: 'CN=alice,O=Example' })
  const server = await pki.server()

  const folder = mkdtempSync(join(tmpdir(), 'mtls-identity-example-'))
  const write = (name, text) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 })
    return join(folder, name)
  }
  const trust = write('clients-ca.pem', pki.trust)
  const identity = `--cert ${write('alice.pem', alice.tls.cert)} --key ${write('alice.key', alice.tls.key)}`
  process.once('exit', () => rmSync(folder, { recursive: true }))
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit())

  console.log(`try:  curl --cacert ${trust} ${identity} https://localhost:${port}/`)
  return { trust, key: server.tls.key, cert: server.tls.cert, port }
}
