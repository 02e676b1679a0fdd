// Ways to ask a server something: Node itself, and whichever of curl, openssl and Python this machine has.
// Every client takes { url, method, name, tls, … } and answers { status, body }.
import { execFile } from 'node:child_process'
import http from 'node:http'
import https from 'node:https'
import { join } from 'node:path'
import { promisify } from 'node:util'

const serversCa = 'clients-ca.pem' // in this demo one CA serves both ends
const askPy = join(import.meta.dirname, 'ask.py')

export function node({ url, method, tls, ca, ...options }) {
  const { request } = url.startsWith('https:') ? https : http
  return new Promise((resolve, reject) => {
    const asked = request(url, { method, ca, agent: false, ...tls, ...options }, async (response) => {
      const body = (await response.setEncoding('utf8').toArray()).join('')
      resolve({ status: response.statusCode, body, reused: asked.reusedSocket })
    })
    asked.on('error', reject).end()
  })
}

/** The others, each with its version; `client` is undefined where the program is missing. */
export async function otherClients() {
  const python = (await versionOf(['/usr/bin/python3', '--version'])) ? '/usr/bin/python3' : 'python3'
  const [curlVersion, opensslVersion, pythonVersion, requestsVersion] = await Promise.all([
    versionOf(['curl', '--version'], /^curl (\S+)/),
    versionOf(['openssl', 'version'], /^OpenSSL (\S+)/), // LibreSSL's s_client lacks -cert_chain
    versionOf([python, '--version'], /^Python (\S+)/),
    versionOf([python, '-c', 'import requests; print(requests.__version__)'], /^(\S+)/),
  ])
  return [
    { name: 'curl', version: curlVersion, client: curlVersion && curl },
    { name: 'openssl s_client', version: opensslVersion, client: opensslVersion && openssl },
    { name: 'Python http.client', version: pythonVersion, client: pythonVersion && pythonWith(python, 'http.client') },
    { name: 'Python requests', version: requestsVersion, client: requestsVersion && pythonWith(python, 'requests') },
  ]
}

async function curl({ url, method, name, tls }) {
  const identity = tls ? ['--cert', `${name}.pem`, '--key', `${name}.key`] : []
  const options = ['--silent', '--show-error', '--noproxy', '*', '--cacert', serversCa, '--write-out', '\n%{http_code}']
  const output = await run('curl', [...options, '--request', method, ...identity, url])
  const end = output.lastIndexOf('\n')
  return { status: Number(output.slice(end + 1)), body: output.slice(0, end) }
}

async function openssl({ url, method, name, tls }) {
  const { host, pathname } = new URL(url)
  // s_client sends the first certificate of a file; the issuing CA has to be given besides.
  const identity = tls ? ['-cert', `${name}.pem`, '-key', `${name}.key`, '-cert_chain', 'issuing-ca.pem'] : []
  const options = ['s_client', '-quiet', '-verify_return_error', '-CAfile', serversCa, '-connect', host]
  const output = await run('openssl', [...options, ...identity], `${method} ${pathname} HTTP/1.0\r\n\r\n`)
  const [head, body] = output.split('\r\n\r\n')
  return { status: Number(head.split(' ')[1]), body }
}

const pythonWith =
  (python, library) =>
  async ({ url, method, name, tls }) => {
    const identity = tls ? [`${name}.pem`, `${name}.key`] : []
    const output = await run(python, [askPy, library, url, method, serversCa, ...identity])
    const end = output.indexOf('\n')
    return { status: Number(output.slice(0, end)), body: output.slice(end + 1).trim() }
  }

async function run(program, args, input = '') {
  const running = promisify(execFile)(program, args, { timeout: 10_000 })
  running.child.stdin.on('error', () => {}).end(input)
  return (await running).stdout
}

/** What a program says when asked for its version; undefined where there is no such program. */
async function versionOf([program, ...args], pattern = /^(\S+)/) {
  try {
    return pattern.exec(await run(program, args))?.[1]
  } catch {
    return undefined
  }
}
