# A static binary in an empty image: docker run -v ./schedules:/schedules:ro IMAGE /schedules/prod.toml
FROM rust:1-alpine AS build
RUN apk add --no-cache ca-certificates musl-dev
WORKDIR /build
COPY Cargo.toml Cargo.lock README.md ./
COPY src src
RUN cargo build --release --locked

FROM scratch
COPY --from=build /build/target/release/rescue-scheduler /rescue-scheduler
# The certificate authorities that rediss:// trusts without --tls-ca.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
# The image has no user database, so any user ID other than root's works.
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["/rescue-scheduler"]
