/** Both ways to start it are tried from one build. */
export default { output: 'standalone', outputFileTracingRoot: import.meta.dirname };
